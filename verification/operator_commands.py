"""The commands that a person runs, ready to be pasted."""

from __future__ import annotations

import shlex

from verification.settings.service import CloudRunSettings


def roll_back(environment: str, revision: str = "") -> str:
    """Roll back with this suite, to `revision` if it is known."""
    return f"python -m rollback -e {shlex.quote(environment)} --to-revision {shlex.quote(revision or 'NAME')}"


def look_again(environment: str, phases: str = "smoke") -> str:
    """Ask the criteria of these phases once more."""
    return f"pytest -m {shlex.quote(phases)} --env {shlex.quote(environment)}"


def status(environment: str) -> str:
    """See what serves, and what it could go back to."""
    return f"python -m rollback status -e {shlex.quote(environment)}"


def resume(environment: str) -> str:
    """Bring to its end what a killed run left undone."""
    return f"python -m rollback resume -e {shlex.quote(environment)}"


def shift_now(service: CloudRunSettings, revision: str = "") -> str:
    """A sentence with the command that rolls back without this suite, for when the suite could not."""
    command = shlex.join(gcloud_update_traffic(service, revision or "NAME"))
    return f"Roll back now with `{command}`, then look at the service's health."


def follow_latest(service: CloudRunSettings) -> str:
    """Let the traffic follow new deployments again."""
    return shlex.join(_gcloud("update-traffic", service, "--to-latest"))


def remove_tag(service: CloudRunSettings, tag: str) -> str:
    """Take a tag away; the traffic stays as it is."""
    return shlex.join(_gcloud("update-traffic", service, f"--remove-tags={tag}"))


def gcloud_update_traffic(service: CloudRunSettings, revision: str) -> list[str]:
    """gcloud's words that send all traffic to `revision`; tags stay."""
    return _gcloud("update-traffic", service, f"--to-revisions={revision}=100")


def gcloud_describe(service: CloudRunSettings) -> list[str]:
    """gcloud's words that tell what serves, as JSON."""
    return _gcloud("describe", service, "--format=json")


def gcloud_set_memory(service: CloudRunSettings, memory: str) -> list[str]:
    """gcloud's words that deploy the same revision with other memory, such as `4Gi`."""
    return _gcloud("update", service, "--memory", memory)


def _gcloud(verb: str, service: CloudRunSettings, *options: str) -> list[str]:
    place = ["--project", service.project, "--region", service.region]
    return ["gcloud", "run", "services", verb, service.service, *place, *options]
