"""The deployment log in its file and in MongoDB: the same on both, written by several at once, never twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from reports.__main__ import main
from reports.command_line import CommandExit
from tests.conftest import ROOT, Address
from verification.errors import ObserverError, SettingsError
from verification.records.deployment_log import DeploymentLog, LogFile, open_log
from verification.records.deployments import DeploymentEvent, DeploymentOutcome
from verification.records.events import belongs_in_the_log, keep, manual_rollback_events, run_events
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult, RunRecord
from verification.settings.followup import DeploymentLogSettings
from verification.verdict import Verdict

SHIPPED = (ROOT / "deployment.toml").read_text(encoding="utf-8")
_WRITER = """
import sys
from pathlib import Path
from verification.records.deployment_log import open_log
from verification.records.deployments import DeploymentEvent
from verification.settings.followup import DeploymentLogSettings
settings = DeploymentLogSettings.model_validate_json(sys.argv[1])
log = open_log(settings, Path(sys.argv[2]), {"DEPLOYMENT_LOG_URL": sys.argv[3]})
print("ready", flush=True)
sys.stdin.readline()
for line in sys.argv[4:]:
    log.append([DeploymentEvent.model_validate_json(line)])
"""


@pytest.fixture(params=["file", "mongodb"])
def settings(request: pytest.FixtureRequest) -> DeploymentLogSettings:
    """A log of the test's own, of each kind."""
    if request.param == "file":
        return DeploymentLogSettings()
    return DeploymentLogSettings(mongodb="$DEPLOYMENT_LOG_URL", collection=f"log-{uuid4().hex}")


@pytest.fixture
def variables(sandbox: Address) -> dict[str, str]:
    return {"DEPLOYMENT_LOG_URL": str(sandbox["environments"]["staging"]["mongodb"])}


@pytest.fixture
def log(settings: DeploymentLogSettings, variables: dict[str, str], tmp_path: Path) -> DeploymentLog:
    return open_log(settings, tmp_path, variables)


def test_a_run_is_written_and_read_back(log: DeploymentLog, rolled_back: RunRecord) -> None:
    rolled_back.profiles, rolled_back.deployed = ("hotfix",), rolled_back.started
    assert log.deployments() == ()
    assert log.append(run_events(rolled_back, "run-1", {"user_feedback_reviewed": "Noa Levi"})) == 2
    (found,) = log.deployments()
    assert (found.environment, found.service, found.revision) == ("production", "Bayit+", "backend-00043")
    assert (found.previous, found.commit, found.deployed) == ("backend-00042", "4f9c2ab", rolled_back.started)
    assert (found.state, found.verdicts) == (DeploymentOutcome.ROLLED_BACK, {"smoke": Verdict.FAIL})
    assert found.rollback is not None
    assert (found.rollback.triggers, found.rollback.to_revision) == (("login",), "backend-00042")
    assert found.recovery == 912.0
    assert [(one.line, one.name) for one in found.signed] == [("user_feedback_reviewed", "Noa Levi")]
    assert found.profiles == ("hotfix",)
    assert found.issues == (
        "smoke: sentry_error_rate: inconclusive: Sentry answered 500",
        "smoke: login: fail: login status is 500, expected 200",
    )


def test_the_same_event_is_never_kept_twice(log: DeploymentLog, record: RunRecord) -> None:
    events = run_events(record, "run-1", {})
    assert (log.append(events), log.append(events), log.append([*events, *events])) == (1, 0, 0)


def test_the_same_phase_in_another_run_updates(log: DeploymentLog, record: RunRecord, failed: RunRecord) -> None:
    assert failed is record, "the fixtures share one record"
    log.append(run_events(failed, "run-1", {}))
    record.criteria = record.criteria[:1]
    assert log.append(run_events(record, "run-2", {})) == 1
    (found,) = log.deployments()
    assert found.verdicts == {"smoke": Verdict.PASS}


def test_several_processes_at_once_lose_no_line(
    log: DeploymentLog, settings: DeploymentLogSettings, variables: dict[str, str], tmp_path: Path, record: RunRecord
) -> None:
    def events(writer: int) -> list[DeploymentEvent]:
        shared = [run_events(replace(record, revision="shared"), "run", {})[0]]
        own = [run_events(replace(record, revision=f"b-{writer}-{one}"), "run", {})[0] for one in range(8)]
        return [*own[:4], *shared, *own[4:]]

    arguments = [settings.model_dump_json(exclude_defaults=True), str(tmp_path), variables["DEPLOYMENT_LOG_URL"]]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, *arguments, *(one.model_dump_json() for one in events(number))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        one.communicate("go\n", timeout=60)
    assert [one.returncode for one in writers] == [0, 0]
    assert len(log.deployments()) == 17
    if isinstance(log, LogFile):
        assert len(log.path.read_text().splitlines()) == 17


def test_a_torn_line_costs_itself_alone(tmp_path: Path, record: RunRecord) -> None:
    log = LogFile(tmp_path / "deployments.jsonl")
    log.append(run_events(record, "run-1", {}))
    with log.path.open("a") as file:
        file.write('{"version": 1, "id": "torn')
    log.append(run_events(replace(record, revision="next"), "run-2", {}))
    assert {one.revision for one in log.deployments()} == {"backend-00043", "next"}


def test_a_place_that_cannot_be_written_is_a_notice(tmp_path: Path, record: RunRecord) -> None:
    (tmp_path / "deployments.jsonl").mkdir()
    problem = keep(LogFile(tmp_path / "deployments.jsonl"), run_events(record, "run-1", {}))
    assert problem.startswith("the deployment log was not written: ")
    with pytest.raises(ObserverError, match="is no file"):
        LogFile(tmp_path / "deployments.jsonl").deployments()


def test_a_database_that_is_away_is_a_notice_without_its_password(tmp_path: Path, record: RunRecord) -> None:
    settings = DeploymentLogSettings.model_validate({"mongodb": "$DEPLOYMENT_LOG_URL", "timeout": "300ms"})
    log = open_log(settings, tmp_path, {"DEPLOYMENT_LOG_URL": "mongodb://noa:hunter2-and-more@127.0.0.1:1/log"})
    problem = keep(log, run_events(record, "run-1", {}))
    assert problem.startswith("the deployment log was not written: the deployment log was written: MongoDB cannot be")
    assert "hunter2" not in problem


def test_a_database_whose_variable_is_not_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DEPLOYMENT_LOG_URL, which is not set"):
        open_log(DeploymentLogSettings(mongodb="$DEPLOYMENT_LOG_URL"), tmp_path, {})


def test_a_rollback_by_hand_is_one_of_the_deployment_that_was_taken_out(log: DeploymentLog) -> None:
    result = RollbackResult(RollbackOutcome.DONE, from_revision="b", to_revision="a", seconds=1.5, verified=True)
    assert log.append(manual_rollback_events("production", "backend", ["b"], result, "by-hand-1")) == 1
    (found,) = log.deployments()
    assert (found.revision, found.state, found.previous) == ("b", DeploymentOutcome.ROLLED_BACK, "a")
    assert found.rollback is not None
    assert found.rollback.by == "hand"
    withheld = replace(result, outcome=RollbackOutcome.WITHHELD)
    assert manual_rollback_events("production", "backend", ["b"], withheld, "by-hand-2") == ()


def test_a_run_that_left_criteria_of_a_phase_out_does_not_pass_it(record: RunRecord) -> None:
    record.criteria_by_phase = {"smoke": 3}
    assert run_events(record, "run", {})[0].phases["smoke"].verdict is Verdict.INCONCLUSIVE
    record.criteria_by_phase = {"smoke": 2, "followup": 10}
    assert run_events(record, "run", {})[0].phases["smoke"].verdict is Verdict.PASS
    record.interrupted = "the run was interrupted"
    assert run_events(record, "run", {})[0].phases["smoke"].verdict is Verdict.INCONCLUSIVE


def test_only_what_asked_about_a_deployment_is_logged(record: RunRecord) -> None:
    assert belongs_in_the_log(record)
    assert not belongs_in_the_log(replace(record, dry_run=True))
    gate = CriterionResult("window", "", "pre", Verdict.FAIL)
    assert not belongs_in_the_log(replace(record, criteria=[gate])), "nothing was deployed"


def test_a_secret_in_a_reason_is_not_kept(record: RunRecord, secret: str) -> None:
    record.criteria[0] = replace(record.criteria[0], verdict=Verdict.FAIL, reason="x" * 250 + secret)
    text = run_events(record, "run", {})[0].model_dump_json()
    assert secret[:10] not in text


# --- python -m reports ---------------------------------------------------------------------------------------


@pytest.fixture
def reports(
    settings: DeploymentLogSettings, variables: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command line on the test's own log."""
    file = tmp_path / "deployment.toml"
    named = f'[deployment_log]\nmongodb = "{settings.mongodb}"\ncollection = "{settings.collection}"\n'
    file.write_text(SHIPPED.replace("[deployment_log] ", named + "#") if settings.mongodb else SHIPPED)

    def run(*arguments: str) -> tuple[int, str]:
        where = [f"--deployment={file}", f"--output={tmp_path}"]
        code = main([*arguments, *where], {**os.environ, **variables})
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_log_and_metrics_on_the_command_line(
    log: DeploymentLog, reports: Callable[..., tuple[int, str]], rolled_back: RunRecord
) -> None:
    assert reports("log")[1].startswith("no deployment is in ")
    rolled_back.deployed = rolled_back.started
    log.append(run_events(rolled_back, "run-1", {}))
    log.append(run_events(replace(rolled_back, environment="staging", revision="other"), "run-2", {}))
    code, text = reports("log", "-e", "production")
    assert code == CommandExit.DONE
    assert "backend-00043" in text
    assert "rolled back" in text
    assert "other" not in text
    document = json.loads(reports("log", "--json")[1])
    assert [one["revision"] for one in document["deployments"]] == ["backend-00043", "other"]
    assert document["deployments"][0]["recovery_s"] == 912.0
    code, text = reports("metrics")
    assert code == CommandExit.DONE
    assert text.count("1 deployment: too few to tell") == 2
    assert "Mean time to recovery │ < 5 min" in text
    months = json.loads(reports("metrics", "-e", "staging", "--json")[1])["environments"]
    assert list(months) == ["staging"]
    assert months["staging"][0]["states"]["rolled back"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "usage: python -m reports"), (("log", "-e", "nowhere"), 'there is no environment "nowhere"')],
)
def test_wrong_usage_is_said(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == CommandExit.USAGE
    assert words in capsys.readouterr().err


def test_a_log_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deployments.jsonl").mkdir()
    assert main(["metrics", f"--output={tmp_path}"]) == CommandExit.UNKNOWN
    assert "is no file" in capsys.readouterr().err
