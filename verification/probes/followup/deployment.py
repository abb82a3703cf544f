"""Probes of what comes once a deployment is through: which deployment that was, and who answers for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from verification.criteria.criterion import criterion_id
from verification.criteria.sign_off import SignOffLine
from verification.errors import NotAsked
from verification.probe import PROBES, probe
from verification.probes.health import given
from verification.records.deployments import Deployment, DeploymentOutcome, FollowedDeployment
from verification.settings.model import Settings

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import CloudRun
    from verification.records.deployment_log import DeploymentLog
    from verification.records.rollback_plan import NamedRevisions


@probe
def followed_deployment(
    settings: Settings, named: NamedRevisions, deployment_log: DeploymentLog, cloud_run: CloudRun
) -> FollowedDeployment:
    """The deployment that somebody named, else the latest one. Raises ObserverError."""
    service = given(settings.target.cloud_run, "cloud_run").service
    logged = [
        deployment
        for deployment in deployment_log.deployments()
        if (deployment.environment, deployment.service) == (settings.environment, service)
    ]
    return follow(logged, settings.environment, cloud_run, named)


def follow(
    logged: Sequence[Deployment], environment: str, cloud_run: CloudRun, named: NamedRevisions
) -> FollowedDeployment:
    """The deployment that `named` names; else the log's latest, or a later one that serves and was never logged."""
    if not named.revision and logged:
        serving = cloud_run.service().sole_revision
        if serving is None or serving in {deployment.revision for deployment in logged}:
            return FollowedDeployment(_with_previous(logged[-1], named), logged=True)
        found = _unlogged(logged, environment, cloud_run, serving, named)
        latest = logged[-1]
        return found if found.deployment.deployed > latest.deployed else FollowedDeployment(latest, logged=True)
    name = named.revision or cloud_run.service().sole_revision
    if not name:
        raise NotAsked(
            "which deployment is followed up is not known: the log tells of none, and the traffic is split",
            "Name the revision with --revision.",
        )
    known = next((deployment for deployment in logged if deployment.revision == name), None)
    if known is not None:
        return FollowedDeployment(_with_previous(known, named), logged=True)
    return _unlogged(logged, environment, cloud_run, name, named)


def _unlogged(
    logged: Sequence[Deployment], environment: str, cloud_run: CloudRun, name: str, named: NamedRevisions
) -> FollowedDeployment:
    state = cloud_run.revision(name)
    earlier = [
        deployment
        for deployment in logged
        if deployment.deployed < state.created and deployment.state is not DeploymentOutcome.ROLLED_BACK
    ]
    previous = named.previous or (earlier[-1].revision if earlier else "")
    service = cloud_run.settings.service
    return FollowedDeployment(
        Deployment(environment, service, name, state.created, previous, state.commit), logged=False
    )


def _with_previous(deployment: Deployment, named: NamedRevisions) -> Deployment:
    return deployment if deployment.previous else replace(deployment, previous=named.previous)


@pytest.fixture
def sign_off(
    request: pytest.FixtureRequest, settings: Settings, followed_deployment: FollowedDeployment
) -> SignOffLine:
    """The criterion's line as one that a person answers for."""
    names = cast("dict[str, str]", request.config.stash[PROBES].resource("sign_offs"))
    line = criterion_id(request.node)
    name = names.get(line) or settings.followup.signed_off_by or ""
    return SignOffLine(line, name, followed_deployment.deployment.signature(line))
