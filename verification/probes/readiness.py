"""Probes of whether a deployment could go well, and be undone: what serves, since when, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from verification.deadline import now
from verification.errors import ObserverError, ServiceError
from verification.probe import probe
from verification.probes.revision import Traffic
from verification.verdict import Measurement

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import CloudRun, RevisionState
    from verification.source_tree.checkout import Checkout


@dataclass(frozen=True, slots=True)
class ServingRevision:
    """The revision that gets all requests, which need not be the newest."""

    state: RevisionState
    source: str

    @property
    def age(self) -> Measurement:
        """For how long it has existed, in hours."""
        hours = round((now() - self.state.created).total_seconds() / 3600, 1)
        note = f"{self.state.name}, created {self.state.created:%Y-%m-%d %H:%M} UTC"
        return Measurement("age of the serving revision", hours, unit="h", source=self.source, note=note)

    @property
    def commit(self) -> Measurement:
        """The commit it was built from, as its label `commit-sha` says."""
        problem = (
            None
            if self.state.commit
            else ObserverError(
                f"{self.state.name} carries no label commit-sha: which commit it runs is not known",
                "Deploy with that label (google-github-actions/deploy-cloudrun sets it).",
            )
        )
        return Measurement(
            "commit", self.state.commit or None, source=self.source, note=self.state.name, problem=problem
        )

    @property
    def readiness(self) -> Measurement:
        """Whether it is Ready: the revision that a rollback of the coming deployment goes back to."""
        ready = "ready" if self.state.ready else self.state.problem or "not ready"
        return Measurement(f"revision to go back to: {self.state.name}", ready, source=self.source)


@probe
def serving_revision(cloud_run: CloudRun, traffic: Traffic) -> ServingRevision:
    """The revision that serves alone. Raises ServiceError while the traffic is split."""
    name = traffic.state.sole_revision
    if name is None:
        raise ServiceError(
            f"the traffic is split: {traffic.state.traffic_text}", "Finish or undo the deployment that is under way."
        )
    return ServingRevision(cloud_run.revision(name), traffic.source)


@probe
def deployed_commit(serving_revision: ServingRevision) -> str:
    """The commit that serves now; empty where the revision does not tell."""
    return serving_revision.state.commit


@probe
def release_candidate(checkout: Checkout, candidate_commit: str) -> str:
    """The full id of the commit that is to be released. Raises ObserverError."""
    return checkout.commit(candidate_commit or "HEAD")


@probe
def rollback_permission(cloud_run: CloudRun) -> Measurement:
    """Whether these credentials may move the traffic back. Raises ObserverError when that cannot be asked."""
    granted = "granted" if cloud_run.may_update() else "denied"
    return Measurement("run.services.update", granted, source="Cloud Run testIamPermissions")
