"""The checklist's metrics, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from reports.deployments.metrics_table import MetricsFile, PeriodEntry, bars, table
from verification.records.deployments import Deployment, LoggedRollback, PhaseVerdict
from verification.records.metrics import DeploymentMetric, Period, by_month, over_all
from verification.records.run_record import RollbackOutcome
from verification.settings.followup import DeploymentLogSettings
from verification.verdict import Verdict

BEGAN = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(weeks=4)
SETTINGS = DeploymentLogSettings()


def deployment(
    day: float,
    verdict: Verdict | None = Verdict.PASS,
    *,
    minutes: float = 8,
    well_after: float | None = None,
    failed: bool = False,
) -> Deployment:
    """One on `day`, through its smoke phase after `minutes`; rolled back and well `well_after` its first failure."""
    at = BEGAN + timedelta(days=day)
    smoked = at + timedelta(minutes=minutes)
    rollback = LoggedRollback(outcome=RollbackOutcome.DONE, verified=True) if well_after is not None else None
    return Deployment(
        "production",
        "backend",
        f"backend-{day}",
        at,
        phases={"smoke": PhaseVerdict(verdict=verdict, ended=smoked)} if verdict else {},
        first_smoke=smoked if verdict else None,
        failed_at=smoked if failed or rollback else None,
        rollback=rollback,
        rolled_back_at=smoked + timedelta(seconds=well_after) if well_after is not None else None,
    )


def figures(deployments: Iterable[Deployment]) -> dict[str, DeploymentMetric]:
    return {one.name: one for one in over_all(list(deployments), SETTINGS, NOW).figures}


TEN = [deployment(day) for day in range(0, 28, 3)]


def test_a_team_that_meets_every_target() -> None:
    found = figures(TEN)
    assert {name: (one.value, one.good) for name, one in found.items()} == {
        "deployment frequency": (2.5, True),
        "deployment duration": (8.0, True),
        "rollback rate": (0.0, True),
        "mean time to recovery": (None, None),
        "success rate": (100.0, True),
    }
    assert found["mean time to recovery"].note == "no deployment failed"


def test_targets_that_are_missed() -> None:
    found = figures([*TEN[:4], deployment(20, Verdict.FAIL, minutes=30, well_after=400)])
    assert found["deployment frequency"].good is False
    assert found["rollback rate"].good is False
    assert (found["rollback rate"].value, found["success rate"].value) == (20.0, 80.0)
    assert found["success rate"].good is False
    assert (found["mean time to recovery"].value, found["mean time to recovery"].good) == (6.67, False)
    assert found["deployment duration"].good, "the median"


@pytest.mark.parametrize(("name", "minutes"), [("deployment duration", 10.0)])
def test_a_limit_itself_is_not_below_it(name: str, minutes: float) -> None:
    assert figures([deployment(day, minutes=minutes) for day in range(10)])[name].good is False


def test_more_often_than_the_target_is_no_failure_and_is_said() -> None:
    found = figures([deployment(day / 2) for day in range(56)])["deployment frequency"]
    assert (found.value, found.good, found.note) == (14.0, True, "more often than usual")


def test_two_deployments_are_too_few_to_tell() -> None:
    period = over_all(TEN[:2], SETTINGS, NOW)
    assert period.too_few == "2 deployments: too few to tell"
    assert [one.good for one in period.figures] == [None] * 5
    assert over_all(TEN[:1], SETTINGS, NOW).too_few == "1 deployment: too few to tell"


def test_nothing_is_made_up_where_there_is_nothing() -> None:
    period = over_all([], SETTINGS, NOW)
    assert [one.value for one in period.figures] == [None] * 5
    assert by_month([], SETTINGS, NOW) == ()


def test_what_nobody_verified_is_no_success() -> None:
    found = figures([*TEN[:5], deployment(20, None), deployment(21, Verdict.INCONCLUSIVE)])["success rate"]
    assert (found.value, found.samples) == (100.0, 5)
    assert found.note == "5 of 5; 2 more without a verdict"
    assert figures([deployment(day, None) for day in range(6)])["success rate"].value is None


def test_a_failure_is_mended_by_the_next_good_deployment_or_by_nothing() -> None:
    mended = [*TEN, deployment(27.5, Verdict.FAIL, failed=True), deployment(27.6, minutes=0)]
    found = figures(mended)["mean time to recovery"]
    assert found.value == pytest.approx(0.1 * 24 * 60 - 8)
    open_ = figures([*TEN, deployment(27, Verdict.FAIL, well_after=60), deployment(27.5, Verdict.FAIL, failed=True)])
    recovery = open_["mean time to recovery"]
    assert (recovery.value, recovery.good) == (1.0, False), "one that was never mended is no good recovery"
    assert recovery.note == "2 failed; for 1 no recovery is known"


def test_a_week_that_has_only_begun_gives_no_rate_of_its_own() -> None:
    one_day = over_all(TEN[:1], SETTINGS, BEGAN + timedelta(days=1))
    assert one_day.figures[0].value == 1.0


def test_every_month_has_its_row_also_the_quiet_ones() -> None:
    months = by_month([deployment(0), deployment(70), deployment(71)], SETTINGS, BEGAN + timedelta(days=75))
    assert [(one.name, one.deployments) for one in months] == [("2026-11", 1), ("2026-12", 0), ("2027-01", 2)]


def shown(overall: Period, months: tuple[Period, ...]) -> str:
    console = Console(width=160, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table("production", overall, months))
        console.print(bars(months))
    return captured.get()


def test_the_table_and_the_bars() -> None:
    deployments = [*TEN, deployment(27.5, Verdict.FAIL, well_after=60)]
    text = shown(over_all(deployments, SETTINGS, NOW), by_month(deployments, SETTINGS, NOW))
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "│ Deployment frequency │ 2-3 a week │ 2.8 a week ✓ │ 2.8 a week ✓ │ │" in rows
    assert "│ Rollback rate │ < 5 % │ 9.1 % ✗ │ 9.1 % ✗ │ 1 of 11 │" in rows
    assert "2026-11  ██████████▒ 11" in text


def test_a_busy_month_keeps_its_bar_on_the_screen() -> None:
    deployments = [deployment(day / 10) for day in range(200)]
    line = shown(over_all(deployments, SETTINGS, NOW), by_month(deployments, SETTINGS, NOW)).split("2026-11  ")[1]
    assert line.startswith("█" * 24 + " 200")


def test_the_same_in_json() -> None:
    overall = over_all(TEN, SETTINGS, NOW)
    document = json.loads(
        MetricsFile(environments={"production": (PeriodEntry.model_validate(overall),)}).model_dump_json()
    )
    period = document["environments"]["production"][0]
    assert (period["period"], period["deployments"], period["states"]["good"]) == ("all", 10, 10)
    assert period["metrics"][0] == {
        "name": "deployment frequency",
        "value": 2.5,
        "unit": "a week",
        "target": "2-3",
        "good": True,
        "deployments": 10,
        "note": "",
    }
