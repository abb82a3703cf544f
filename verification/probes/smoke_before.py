"""The probe that asks of production, before it is touched, what the smoke phase will ask of the release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from verification.checks import must_be_deeply_healthy, must_be_healthy, must_be_listed, must_be_logged_in
from verification.errors import CredentialsRefused, ServiceError, VerificationError
from verification.probe import Probes, of_role, probe
from verification.records.smoke_before import SmokeBefore, store
from verification.settings.model import Settings
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.checks import Login
    from verification.clients.service.answer import Answer, Listing
    from verification.clients.service.client import Service

Rule = Callable[[object], None]

_ASKED = 3  # times, before a failure is noted: one unlucky answer must not excuse a bad release


@probe
def smoke_before(
    settings: Settings, service: Service, role: str, logs: Path, clock: Callable[[], datetime], probes: Probes
) -> MeasurementSet:
    """What production answers to the questions of the smoke phase, kept for the day; each "good", or why it is not."""
    rules = _rules(settings)
    names = {name: of_role(name, role) for name in rules}
    probes.start(names.values())
    within = 2 * settings.smoke.timeout + settings.smoke.retry_after
    found: list[Measurement] = []
    failed: dict[str, str] = {}
    for name, rule in rules.items():
        measurement = _measured(name, rule, _askings(probes, names[name], role, service, within), settings.target.url)
        found.append(measurement)
        if isinstance(measurement.problem, ServiceError):
            failed[name] = measurement.problem.cause
    run = settings.target.cloud_run
    store(logs.parent, settings.environment, SmokeBefore(at=clock(), service=run.service if run else "", failed=failed))
    return MeasurementSet(tuple(found))


def _askings(probes: Probes, name: str, role: str, service: Service, within: float) -> Iterator[object]:
    """The answers of the probe `name`: the one that all share, then new ones."""
    yield probes.result(name)
    for _ in range(_ASKED - 1):
        yield probes.anew([name], role, service, within).result(name)


def _measured(name: str, rule: Rule, answers: Iterator[object], source: str) -> Measurement:
    """Good as soon as one answer is."""
    problem: VerificationError | None = None
    for _ in range(_ASKED):
        try:
            rule(next(answers))
        except ServiceError as bad:
            cause = f"{name} fails before anything is deployed: {bad.cause}"
            problem = ServiceError(cause, "Are the settings right, or is it production that is not well?")
            if isinstance(bad, CredentialsRefused):
                break  # to ask again may lock the account
        except VerificationError as unknown:
            return Measurement(name, None, source=source, problem=unknown)
        else:
            return Measurement(name, "good", source=source)
    return Measurement(name, "fails", source=source, problem=problem)


def _rules(settings: Settings) -> Mapping[str, Rule]:
    """By probe, the rule that the smoke criterion of that name holds its answer to."""
    health, flows, rules = settings.health, settings.flows, dict[str, Rule]()
    for name, question in {"basic_health": health.basic, "readiness": health.readiness}.items():
        if question:
            rules[name] = lambda answer, asked=question: must_be_healthy(cast("Answer", answer), asked)  # type: ignore[misc]
    if deep := health.deep:
        states = deep.states(settings.main_role)
        rules["deep_health"] = lambda answer: must_be_deeply_healthy(cast("Answer", answer), deep, states)
    if flows.login:
        rules["login"] = lambda answer: must_be_logged_in(cast("Login", answer))
    for name, flow in {"content_listing": flows.content_listing, "search": flows.search}.items():
        if flow:
            rules[name] = lambda answer: must_be_listed(cast("Listing", answer))
    return rules
