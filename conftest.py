"""The wiring, top to bottom: options, which criteria run, fixtures, verdicts, and the hook that rolls production back.

The hooks are chosen by what pytest promises: `makereport` only annotates, `logreport` only notes, and one `tryfirst`
`pytest_sessionfinish` decides and acts. It is reached after failures, errors, `-x` and Ctrl-C alike, runs outside
every test timeout, and comes before the report is written.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from rollback.interrupts import Interruptions, undisturbed
from verification.criteria.criterion import asked_by, criterion_id, phase_of, role_of
from verification.criteria.outcome import outcome_of
from verification.criteria.results import Results, stage_of
from verification.criteria.scheduling import run_in_order_of_answers
from verification.criteria.selection import Selection, asks_before_a_deployment, follows_up, only_looks, parted
from verification.errors import SettingsError
from verification.logger_iteration import let_them_be_walked
from verification.options import add_options, ordered_run
from verification.probe import PROBES
from verification.records.run_record import PHASES, POST_DEPLOY_PHASES, CriterionResult
from verification.redaction import redact
from verification.run import Run
from verification.settings.loading import environments
from verification.settings.model import Limits, Settings
from verification.settings.service import Flows, Health
from verification.verdict import Measurement, Verdict, collecting, now

if TYPE_CHECKING:
    from reports.plugin import Reporting
    from rollback.controller import RollbackController
    from verification.clients.service.client import Service
    from verification.probes.revision import Traffic

ROOT = Path(__file__).parent
HOMES = (ROOT / "verification", ROOT / "smoke")

pytest_plugins = [f"verification.probes.{name}" for name in ("health", "flows", "revision", "watch")]
# Only for runs that ask before a deployment: what they import costs a run after one half a second.
_BEFORE_A_DEPLOYMENT = (
    *("readiness", "source", "code", "release", "window", "rollback_plan", "migrations"),
    *("sentry", "incidents", "rollout", "announcement", "baseline"),
)
_AFTERWARDS = tuple(f"followup.{name}" for name in ("deployment", "record", "watch", "team", "sentry", "review"))

gc.freeze()  # what is imported stays to the end: no garbage collection need walk it again

_MOST_SHOWN = 50_000  # characters of a traceback

_RUN = pytest.StashKey[Run]()
_MEASUREMENTS = pytest.StashKey[list[Measurement]]()


# --- options ------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options: see verification/options.py."""
    add_options(parser, ROOT)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and settle where the run's files go; nothing outside is touched yet."""
    let_them_be_walked()
    run = ordered_run(config)
    if run is None:
        return
    config.stash[_RUN] = run
    config.stash[PROBES] = run.probes
    for name in _BEFORE_A_DEPLOYMENT if asks_before_a_deployment(config) else ():
        config.pluginmanager.import_plugin(f"verification.probes.{name}")
    for name in _AFTERWARDS if follows_up(config) else ():
        config.pluginmanager.import_plugin(f"verification.probes.{name}")
    team = [run.deployment.parent / path for path in run.settings.criteria.paths]
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.args += map(str, team)
    config.pluginmanager.register(Selection(run, [*HOMES, *team]), "verification-selection")
    if not only_looks(config):
        _report_on(config, run)


def _report_on(config: pytest.Config, run: Run) -> None:
    from reports.plugin import Reporting
    from reports.run_files import RunFiles
    from reports.tickets.ticket import DeployTicket
    from rollback.controller import RollbackController

    output = Path(config.getoption("--output"))
    results = Results()
    try:
        tickets = [DeployTicket.parse(one) for one in config.getoption("--ticket")]
        files = RunFiles.create(output, run.record, _phases_named(config))
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        raise pytest.UsageError(
            f"no report can be written below {output}: {error.strerror}. Free or mend that place."
        ) from None
    run.logs = files.folder
    reporting = Reporting(config, run.record, results, files, tickets)
    controller = RollbackController(run, files.journal, output, allowed=not config.getoption("--no-rollback"))
    config.pluginmanager.register(Verification(run, results, controller, reporting), "verification")
    config.pluginmanager.register(reporting, "verification-reports")


def _phases_named(config: pytest.Config) -> tuple[str, ...]:
    words = set(re.findall(r"\w+", config.option.markexpr or ""))
    return tuple(phase for phase in PHASES if phase in words)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --env there is nothing to hold a criterion against."""
    if _RUN not in config.stash and any(phase_of(item) for item in items):
        names = ", ".join(environments(Path(config.getoption("--deployment"))))
        raise pytest.UsageError(f"--env is missing; it has no default. The environments are: {names}")


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
def checks() -> ModuleType:
    """The rules of verification/checks.py: what a good answer is, for criteria, watch and rollback alike."""
    from verification import checks

    return checks


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
    return request.config.stash[_RUN].resources(role).get("service")  # type: ignore[return-value]


@pytest.fixture
def role(request: pytest.FixtureRequest) -> str:
    """The role that the criterion is about; empty for the run's main one."""
    return role_of(request.node)


@pytest.fixture
def deployed_revision(request: pytest.FixtureRequest, role: str, traffic: Traffic) -> str:
    """The revision that was deployed: the one that somebody named, else the newest one."""
    named = "" if role else request.config.stash[_RUN].revision
    return named or traffic.state.latest_created


# --- verdicts, and the rollback -----------------------------------------------------------------------------


class Verification:
    """Notes verdicts as they come, and acts on them once, at the session's end."""

    def __init__(self, run: Run, results: Results, controller: RollbackController, reporting: Reporting) -> None:
        self._run = run
        self._results = results
        self._controller = controller
        self._reporting = reporting
        self._finished: dict[str, CriterionResult] = {}
        # So that a cancelled run still decides, rolls back if it must, and writes its report.
        self._interruptions = Interruptions()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Find out whether a rollback would be possible, then judge what is known first, first."""
        if not self._run.started or (session.testsfailed and not session.config.option.continue_on_collection_errors):
            return None  # pytest's own loop says what is wrong
        before, after, later = parted(session.items)
        waiting = self._reporting.waiting(session.config, self._run)
        if before and (after or later):
            run_in_order_of_answers(session, before, self._run.probes, waiting, last=False)
            if not self._may_go_on("deployed"):
                return True
            self._start_supervisor(session.config)
            self._run.deploy({name for item in after or later for name in asked_by(item)})
        self._start_supervisor(session.config)
        self._controller.arm()
        self._interruptions.ask(self._question)
        if later and not after:
            from verification.probes.followup.deployment import note_followed

            note_followed(self._run)
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        for notice in self._run.record.notices if reporter else ():
            reporter.write_line(f"note: {redact(notice)}", yellow=True)
        if after and later:
            run_in_order_of_answers(session, after, self._run.probes, waiting, last=False)
            if not self._may_go_on("followed up"):
                return True
            self._note_results(session)
            self._reporting.log(self._run)
            self._run.follow_up({name for item in later for name in asked_by(item)})
        run_in_order_of_answers(session, later or after or before, self._run.probes, waiting)
        return True

    def _start_supervisor(self, config: pytest.Config) -> None:
        """Have a supervisor, which speaks where a person reads it: not into what pytest captures."""
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            self._controller.start_supervisor()

    def _question(self) -> str:
        """What to ask whoever presses Ctrl-C. A failure has decided already."""
        failed = any(one.verdict is Verdict.FAIL and one.mendable for one in self._finished.values())
        return "" if failed else self._controller.question()

    def _may_go_on(self, done: str) -> bool:
        closed = [one.id for one in self._finished.values() if one.verdict is not Verdict.PASS]
        if closed:
            self._run.record.notices.append(f"nothing was {done}, because these do not pass: {', '.join(closed)}")
        return not closed

    def _note_results(self, session: pytest.Session) -> None:
        finished = self._finished
        self._run.record.criteria = [finished[item.nodeid] for item in session.items if item.nodeid in finished]

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
            outcome = outcome_of(report, call.excinfo.value if call.excinfo else None)
            seconds = self._run.probes.seconds(asked_by(item))
            stage = stage_of(item, outcome, item.stash[_MEASUREMENTS], self._run.settings, seconds)
            report.stage = stage  # type: ignore[attr-defined]
            if report.failed:
                words = f"{outcome.reason}\n{outcome.remedy}" if outcome.expected else report.longreprtext
                report.longrepr = redact(words.strip())[:_MOST_SHOWN]
            elif isinstance(report.longrepr, tuple):  # of a test that was skipped: file, line, reason
                path, line, reason = report.longrepr
                report.longrepr = (path, line, redact(reason))
        report.sections = [(name, redact(text)) for name, text in report.sections]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the verdict. A failure that calls for a rollback ends the patience for questions that are still open."""
        result = self._results.note(report)
        if result is None:
            return
        if result.verdict is Verdict.FAIL and result.phase in POST_DEPLOY_PHASES:
            self._controller.record_failure(result)
        # A failure counts once it is known: its teardown may never be reported (Ctrl-C, a plugin that breaks).
        if report.when == "teardown" or result.verdict is Verdict.FAIL:
            self._finished[report.nodeid] = result

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say "inconclusive" where pytest would say failed, error or skipped."""
        stage = getattr(report, "stage", None)
        if stage is not None and stage.outcome.verdict is Verdict.INCONCLUSIVE:
            return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Decide, act, and write down what was done: once, after every test, before the report is written."""
        with undisturbed():  # a CI system's SIGTERM, which follows its SIGINT, must find the report complete
            self._decide(session, exitstatus)
            try:
                return (yield)
            except (Exception, KeyboardInterrupt) as error:  # a page on a full disk
                session.exitstatus = self._unended(error)

    def _decide(self, session: pytest.Session, exitstatus: int) -> None:
        record = self._run.record
        self._note_results(session)
        unasked = [item for item in session.items if phase_of(item) and item.nodeid not in self._finished]
        record.not_asked |= {criterion_id(item): "the run ended before it was asked" for item in unasked}
        record.unasked = tuple(criterion_id(item) for item in unasked if phase_of(item) in POST_DEPLOY_PHASES)
        record.interrupted = _INTERRUPTIONS.get(exitstatus, "")
        try:
            self._controller.finish(
                interrupted=exitstatus == pytest.ExitCode.INTERRUPTED, wanted=self._interruptions.wants_rollback
            )
            record.finished = now()
            self._reporting.tell(self._run)
            self._reporting.log(self._run)
            self._reporting.write()
            session.exitstatus = record.exit_code_after(exitstatus)
        except Exception as error:  # an exception that leaves this hook would lose the report
            session.exitstatus = self._unended(error)

    def _unended(self, error: BaseException) -> int:
        """Say that a part of the report is missing; the exit code, which is the verdict's unless that is pass."""
        record = self._run.record
        record.finished = record.finished or now()
        record.notices.append(redact(f"the run could not be brought to its end: {type(error).__name__}: {error}"))
        return record.exit_code or pytest.ExitCode.INTERNAL_ERROR

    def pytest_unconfigure(self) -> None:
        """Leave nothing open."""
        self._run.close()
        self._interruptions.close()


_INTERRUPTIONS = {2: "the run was interrupted", 3: "pytest broke", 4: "the run was called wrongly"}
