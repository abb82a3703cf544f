"""Runs to report on: one as a release manager sees it, and one where everything from outside is hostile."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from verification.records.run_record import (
    CriterionResult,
    Evidence,
    EvidencePoint,
    RollbackOutcome,
    RollbackResult,
    RunRecord,
    Standing,
    TimelineEntry,
)
from verification.redaction import register
from verification.verdict import Measurement, Verdict

HOSTILE = (
    "<img src=x onerror=\"document.documentElement.setAttribute('data-ran', '1')\">"
    "\"'><script>document.documentElement.setAttribute('data-ran', '2')</script>"
    '" onmouseover="document.documentElement.remove()" x="'
    "</td></tr></table></style></noscript><svg onload=\"document.documentElement.setAttribute('data-ran', '3')\">"
    "\x1b[31m\u202e| `code` ``` **bold** [link](javascript:alert(1)) ![i](x) https://evil.example @everyone #1 &lt; $x$\n"
    "# heading\n- item\n~~~\n<details>"
)
Known = TypeVar("Known", Measurement, CriterionResult, RollbackResult)
BEGAN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def _criterion(name: str, verdict: Verdict, reason: str = "", hint: str = "") -> CriterionResult:
    latency = Measurement(
        f"{name} latency", 812.5, "ms", "https://api.example", BEGAN, 9120, 900.0, 500.0, "<", "retried"
    )
    return CriterionResult(name, f"The line of {name}.", "smoke", verdict, (latency,), reason, hint, 1.25)


@pytest.fixture
def record() -> RunRecord:
    """A finished run whose criteria all pass."""
    return RunRecord(
        "production",
        ("smoke", "monitor"),
        service="Bayit+",
        target="https://api.example",
        revision="backend-00043",
        previous_revision="backend-00042",
        commit="4f9c2ab",
        started=BEGAN,
        finished=BEGAN + timedelta(seconds=912),
        criteria_selected=2,
        criteria_in_phase=2,
        criteria=[_criterion("basic_health", Verdict.PASS), _criterion("search", Verdict.PASS)],
    )


@pytest.fixture
def failed(record: RunRecord) -> RunRecord:
    """A finished run with one criterion of each verdict, before anything was done about it."""
    unclear = _criterion(
        "sentry_error_rate", Verdict.INCONCLUSIVE, "Sentry answered 500", "Ask Sentry: curl -I https://s.example"
    )
    bad = _criterion("login", Verdict.FAIL, "login status is 500, expected 200", "Read the log: gcloud logging read x")
    record.criteria = [record.criteria[0], unclear, bad]
    record.criteria_in_phase = record.criteria_selected = 3
    return record


@pytest.fixture
def rolled_back(failed: RunRecord) -> RunRecord:
    """The failed run after a rollback that got through."""
    check = Measurement(
        "health status", 200, source="https://api.example/health", limit=200, rule="=", observed_at=BEGAN
    )
    failed.rollback = RollbackResult(
        RollbackOutcome.DONE, ("login",), "cloud_run", "backend-00043", "backend-00042", 2.1, True, checks=(check,)
    )
    return failed


@pytest.fixture
def explained(rolled_back: RunRecord) -> RunRecord:
    """The rolled back run with a point of each standing, one of them with what held the rollback up."""
    command = "Look at both. To roll back all the same: `python -m rollback -e production`"
    rolled_back.why = (
        EvidencePoint("The failure is real", Standing.HOLDS, (Evidence("login", "asked again: 3 of 3 failed"),)),
        EvidencePoint("Going back helps", Standing.FAILS, (), "previous_no_better", "as bad before", command),
        EvidencePoint("The target was good", Standing.UNKNOWN, (Evidence("Target", "backend-00042"),), "", "403"),
    )
    return rolled_back


@pytest.fixture
def hostile(rolled_back: RunRecord) -> RunRecord:
    """A run in which every text is `HOSTILE`: whoever adds a field to the record has it tested too."""
    record = rolled_back
    check = _poisoned(record.rollback.checks[0], value=HOSTILE, limit=HOSTILE)
    record.rollback = _poisoned(record.rollback, triggers=(HOSTILE,), checks=(check,))
    record.criteria = [
        _poisoned(one, measurements=(_poisoned(one.measurements[0], value=HOSTILE, limit=HOSTILE),))
        for one in record.criteria
    ]
    for each in fields(record):
        if isinstance(getattr(record, each.name), str):
            setattr(record, each.name, HOSTILE)
    record.phases = record.profiles = (HOSTILE,)
    record.not_configured = {HOSTILE: HOSTILE}
    record.not_asked = {f"{HOSTILE} ": HOSTILE}
    record.timeline = [TimelineEntry(BEGAN, HOSTILE, failed=True)]
    known = Evidence(HOSTILE, HOSTILE)
    record.why = (EvidencePoint(HOSTILE, Standing.FAILS, (known,), HOSTILE, HOSTILE, HOSTILE),)
    record.notices = [HOSTILE]
    return record


def _poisoned(one: Known, **others: object) -> Known:
    texts = {each.name: HOSTILE for each in fields(one) if type(getattr(one, each.name)) is str}
    return replace(one, **(texts | others))  # type: ignore[arg-type]


@pytest.fixture
def secret() -> str:
    """A secret that the suite has loaded."""
    register("hunter2-but-longer")
    return "hunter2-but-longer"
