"""The suite's pytest plugin: options, the run that they ask for, fixtures, and the verdict on each criterion."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verification.criteria.criterion import asked_by, phase_of, role_of
from verification.criteria.options import add_options, run_from_options
from verification.criteria.results import CriterionResults, StageResult, stage_result
from verification.criteria.selection import Selection, asks_for
from verification.logger_iteration import make_iteration_safe
from verification.probe import PROBES
from verification.records.run_record import POST_DEPLOY_PHASES, CriterionResult
from verification.redaction import redact
from verification.run.run import Run
from verification.settings.loading import environments
from verification.settings.model import Limits, Settings
from verification.settings.service import Flows, Health
from verification.verdict import Measurement, Verdict, collecting

if TYPE_CHECKING:
    from verification.clients.service.client import Service
    from verification.probes.revision import Traffic

ROOT = Path(__file__).parents[1]
HOMES = (ROOT / "verification", ROOT / "smoke")

pytest_plugins = [f"verification.probes.{name}" for name in ("health", "flows", "revision", "watch")]
# Only for runs that ask before a deployment: what they import costs a run after one half a second.
_BEFORE_A_DEPLOYMENT = (
    *("readiness", "source", "code", "release", "window", "rollback_plan", "migrations"),
    *("sentry", "incidents", "rollout", "announcement", "baseline", "smoke_before"),
)
_DEPLOYMENT = tuple(f"deploy.{name}" for name in ("workflow", "startup", "transition"))
_AFTERWARDS = tuple(f"followup.{name}" for name in ("deployment", "record", "watch", "team", "sentry", "review"))
_LONGEST_TRACEBACK = 50_000  # characters

_RUN = pytest.StashKey[Run]()
_MEASUREMENTS = pytest.StashKey[Sequence[Measurement]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options: see verification/criteria/options.py."""
    add_options(parser, ROOT)


def configure_run(config: pytest.Config) -> Run | None:
    """The run that the options ask for, its settings read, nothing outside touched; None without `--env`.

    Raises pytest.UsageError.
    """
    make_iteration_safe()
    run = run_from_options(config)
    if run is None:
        return None
    config.stash[_RUN] = run
    config.stash[PROBES] = run.probes
    before = _BEFORE_A_DEPLOYMENT if asks_for(config, "pre") else ()
    itself = _DEPLOYMENT if asks_for(config, "deploy") else ()
    for name in (*before, *itself, *(_AFTERWARDS if asks_for(config, "followup") else ())):
        config.pluginmanager.import_plugin(f"verification.probes.{name}")
    team = [run.deployment.parent / path for path in run.settings.criteria.paths]
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.args += map(str, team)
    config.pluginmanager.register(Selection(run, [*HOMES, *team]), "verification-selection")
    return run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --env there is nothing to hold a criterion against."""
    if _RUN not in config.stash and any(phase_of(item) for item in items):
        names = ", ".join(environments(Path(config.getoption("--deployment"))))
        raise pytest.UsageError(f"--env is missing; it has no default. The environments are: {names}")


class VerdictCollector:
    """Turns what pytest reports into verdicts; `on_failure` is called once for each failure after a deployment."""

    def __init__(self, run: Run, results: CriterionResults, on_failure: Callable[[CriterionResult], None]) -> None:
        self._run = run
        self._results = results
        self._on_failure = on_failure

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Collect what the criterion measures."""
        with collecting() as measurements:
            item.stash[_MEASUREMENTS] = measurements
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Annotate the report and take the secrets out of it; nothing else, while a test's timeout is still armed."""
        report = yield
        if phase_of(item):
            error, seconds = call.excinfo.value if call.excinfo else None, self._run.probes.seconds(asked_by(item))
            stage = stage_result(item, report, error, item.stash[_MEASUREMENTS], self._run.settings, seconds)
            report.stage = stage  # type: ignore[attr-defined]
            if report.failed:
                words = f"{stage.reason}\n{stage.remedy}" if stage.expected else report.longreprtext
                report.longrepr = redact(words.strip())[:_LONGEST_TRACEBACK]
            elif isinstance(report.longrepr, tuple):  # of a test that was skipped: file, line, reason
                path, line, reason = report.longrepr
                report.longrepr = (path, line, redact(reason))
        report.sections = [(name, redact(text)) for name, text in report.sections]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the verdict, and tell of a failure as soon as it is known."""
        result = self._results.add(report)
        if result is not None and result.verdict is Verdict.FAIL and result.phase in POST_DEPLOY_PHASES:
            self._on_failure(result)

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say "inconclusive" where pytest would say failed, error or skipped."""
        stage = getattr(report, "stage", None)
        if isinstance(stage, StageResult) and stage.verdict is Verdict.INCONCLUSIVE:
            return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
        return None


# --- fixtures -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> Settings:
    """Everything that deployment.toml says of the environment."""
    return request.config.stash[_RUN].settings


@pytest.fixture(scope="session")
def health(settings: Settings) -> Health:
    """The health paths, and what they must answer."""
    return settings.health


@pytest.fixture(scope="session")
def profiles(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The profiles of this deployment (`--profile`)."""
    return request.config.stash[_RUN].record.profiles


@pytest.fixture
def healthy_states(settings: Settings, role: str) -> list[str]:
    """The overall states of the deep health that count as healthy for the criterion's role."""
    deep = settings.health.deep
    return deep.states(role or settings.main_role) if deep else []


@pytest.fixture(scope="session")
def flows(settings: Settings) -> Flows:
    """The critical user flows."""
    return settings.flows


@pytest.fixture(scope="session")
def limits(settings: Settings) -> Limits:
    """What "good" means."""
    return settings.limits


@pytest.fixture
def service(request: pytest.FixtureRequest, role: str) -> Service:
    """The client of the service, for a team's own flows."""
    return request.config.stash[_RUN].resources(role).service


@pytest.fixture
def role(request: pytest.FixtureRequest) -> str:
    """The role that the criterion is about; empty for the run's main one."""
    return role_of(request.node)


@pytest.fixture
def deployed_revision(request: pytest.FixtureRequest, role: str, traffic: Traffic) -> str:
    """The revision that was deployed: the one that somebody named, else the newest one."""
    named = "" if role else request.config.stash[_RUN].revision
    return named or traffic.state.latest_created
