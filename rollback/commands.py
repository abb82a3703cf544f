"""The commands that a person runs, ready to be pasted."""

from __future__ import annotations

import shlex

from verification.settings import CloudRun


def by_hand(environment: str, revision: str = "") -> str:
    """Roll back with this suite, to `revision` if it is known."""
    return f"python -m rollback -e {shlex.quote(environment)} --to-revision {shlex.quote(revision) if revision else 'NAME'}"


def with_gcloud(service: CloudRun, revision: str = "") -> str:
    """Roll back without this suite."""
    return f"{_update_traffic(service)} --to-revisions={shlex.quote(revision) if revision else 'NAME'}=100"


def to_latest(service: CloudRun) -> str:
    """Let the traffic follow new deployments again."""
    return f"{_update_traffic(service)} --to-latest"


def _update_traffic(service: CloudRun) -> str:
    name, project, region = (shlex.quote(one) for one in (service.service, service.project, service.region))
    return f"gcloud run services update-traffic {name} --project {project} --region {region}"
