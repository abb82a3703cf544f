"""The checklist's appendix "Common Issues": for a failure, the remedy that fits, as a command to paste."""

from __future__ import annotations

import re
import shlex

from verification.operator_commands import gcloud_set_memory, look_again
from verification.settings.model import Settings
from verification.settings.service import Target

_MONGODB = re.compile(r"mongo|ServerSelectionTimeout", re.IGNORECASE)
_MEMORY = re.compile(r"memory limit|out of memory|OOM", re.IGNORECASE)
_RED_WORKFLOW = re.compile(r"^(job|workflow) .*https?://", re.MULTILINE)
_SLOW_DEPLOYMENT = re.compile(r"deployment duration")
_UNAVAILABLE = re.compile(r"\b503\b|unhealthy")


def hint(reason: str, settings: Settings) -> str:
    """What to try, with this environment's names filled in; empty when no remedy of the appendix fits."""
    target = settings.targets.get("production") or settings.targets.get("staging")
    if target is None:
        return ""
    if _MONGODB.search(reason):
        return f"Is the MongoDB secret right, and this service allowed in? {_secret(target)}"
    if _MEMORY.search(reason):
        return f"Does it need more memory, or does it leak? To give it more: {_more_memory(target)}"
    if _RED_WORKFLOW.search(reason):
        return f"Its page says why. Whether what serves now is well: `{look_again(settings.environment, 'smoke')}`"
    if _SLOW_DEPLOYMENT.search(reason):
        return f"Which step of the build is slow, and does the health check answer within 5 s? {_time_of(target)}"
    if _UNAVAILABLE.search(reason):
        return f"The logs say why it does not start: {_logs(target)}"
    return ""


def _time_of(target: Target) -> str:
    return f"curl -so /dev/null -w '%{{time_total}} s\\n' {shlex.quote(target.url)}"


def _more_memory(target: Target) -> str:
    run = target.cloud_run
    return shlex.join(gcloud_set_memory(run, "4Gi")) if run else "gcloud run services update SERVICE --memory 4Gi"


def _logs(target: Target) -> str:
    run = target.cloud_run
    if run is None:
        return f"curl -i {shlex.quote(target.url)}"
    query = f'resource.type="cloud_run_revision" AND resource.labels.service_name="{run.service}" AND severity>=ERROR'
    return f"gcloud logging read {shlex.quote(query)} --project {shlex.quote(run.project)} --freshness=10m"


def _secret(target: Target) -> str:
    run = target.cloud_run
    project = f" --project {shlex.quote(run.project)}" if run else ""
    return f"gcloud secrets versions list mongodb-url{project}"
