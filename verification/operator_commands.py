"""The commands that a person runs, ready to be pasted."""

from __future__ import annotations

import shlex

from verification.settings.service import CloudRunSettings


def roll_back(environment: str, revision: str = "") -> str:
    """Roll back with this suite, to `revision` if it is known."""
    return f"python -m rollback -e {shlex.quote(environment)} --to-revision {_name(revision)}"


def status(environment: str) -> str:
    """See what serves, and what it could go back to."""
    return f"python -m rollback status -e {shlex.quote(environment)}"


def resume(environment: str) -> str:
    """Bring to its end what a killed run left undone."""
    return f"python -m rollback resume -e {shlex.quote(environment)}"


def shift_now(service: CloudRunSettings, revision: str = "") -> str:
    """A sentence with the command that rolls back without this suite, for when the suite could not."""
    return (
        f"Roll back now with `{_update_traffic(service)} --to-revisions={_name(revision)}=100`, "
        "then look at the service's health."
    )


def follow_latest(service: CloudRunSettings) -> str:
    """Let the traffic follow new deployments again."""
    return f"{_update_traffic(service)} --to-latest"


def gcloud_update_traffic(service: CloudRunSettings, revision: str) -> list[str]:
    """gcloud's words that send all traffic to `revision`; tags stay."""
    return [
        "gcloud",
        "run",
        "services",
        "update-traffic",
        service.service,
        *_there(service),
        f"--to-revisions={revision}=100",
    ]


def gcloud_describe(service: CloudRunSettings) -> list[str]:
    """gcloud's words that tell what serves, as JSON."""
    return ["gcloud", "run", "services", "describe", service.service, *_there(service), "--format=json"]


def _name(revision: str) -> str:
    return shlex.quote(revision) if revision else "NAME"


def _there(service: CloudRunSettings) -> list[str]:
    return ["--project", service.project, "--region", service.region]


def _update_traffic(service: CloudRunSettings) -> str:
    name, project, region = (shlex.quote(word) for word in (service.service, service.project, service.region))
    return f"gcloud run services update-traffic {name} --project {project} --region {region}"
