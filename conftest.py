"""The wiring of a run, and the hook that rolls production back.

`verification.plugin` has the fixtures and the verdicts, `verification.criteria.stages` the order in which criteria are
asked, `reports.plugin` the report, `rollback.controller` the rollback. A run goes like this:

1. `pytest_configure` reads the settings, begins the run's files and registers what is needed; nothing outside is asked.
2. `StageRunner` starts the probes and, before the first verdict after a deployment, arms the rollback.
3. `Confirmation` asks again what failed; `VerdictCollector` turns reports into verdicts, and does nothing else.
4. `pytest_sessionfinish` decides and acts, once: after failures, errors, `-x` and Ctrl-C alike, before the report.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback.interrupts import Interruptions, undisturbed
from verification.criteria.criterion import criterion_id, is_mendable
from verification.criteria.results import CriterionResults
from verification.criteria.selection import only_lists
from verification.criteria.stages import StageRunner
from verification.run.run import Run

if TYPE_CHECKING:
    from reports.plugin import Reporting
    from rollback.controller import RollbackController

pytest_plugins = ["verification.plugin"]
gc.freeze()  # what is imported stays to the end: no garbage collection need walk it again


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and settle where the run's files go."""
    from verification.criteria.confirmation import Confirmation, FailedCriteria
    from verification.plugin import VerdictCollector, configure_run

    run = configure_run(config)
    if run is None or only_lists(config):
        return
    from reports.plugin import begin_report
    from rollback.controller import RollbackController

    results, failed, register = CriterionResults(), FailedCriteria(run), config.pluginmanager.register
    report = begin_report(config, run, results)
    output, allowed = Path(config.getoption("--output")), not config.getoption("--no-rollback")
    controller = RollbackController(run, report.files.journal, output, failed, allowed=allowed)
    rollback = RollbackAtTheEnd(run, results, controller, report)
    run.on_certain = rollback.record_certain
    register(VerdictCollector(run, results, controller.record_failure), "verification-verdicts")
    register(Confirmation(run, failed, controller.doubt), "verification-confirmation")
    register(StageRunner(run, results, rollback, report), "verification-stages")
    register(rollback, "verification-rollback")
    register(report, "verification-reports")


class RollbackAtTheEnd:
    """Arms the rollback before the first verdict, and decides on it after the last."""

    def __init__(self, run: Run, results: CriterionResults, controller: RollbackController, report: Reporting) -> None:
        self._run, self._results, self._controller, self._report = run, results, controller, report
        # So that a cancelled run still decides, rolls back if it must, and writes its report.
        self._interruptions = Interruptions()
        self._mendable: frozenset[str] = frozenset()  # criteria whose failure calls for a rollback

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know what is asked before a watch can be certain about it."""
        self._mendable = frozenset(criterion_id(item) for item in session.items if is_mendable(item))

    def record_certain(self, criterion: str, reason: str) -> None:
        """Have a failure in the journal as soon as a watch is certain about it, if its criterion is asked at all."""
        if criterion in self._mendable:
            self._controller.record_certain(criterion, reason)

    def start_supervisor(self) -> None:
        """Have a process that finishes the rollback if this one is killed."""
        self._controller.start_supervisor()

    def arm(self) -> None:
        """Find out whether a rollback would be possible; from now on, ask whoever presses Ctrl-C."""
        self._controller.arm()
        self._interruptions.ask(self._question)

    def _question(self) -> str:
        """What to ask whoever presses Ctrl-C. A failure has decided already."""
        return "" if self._results.call_for_rollback else self._controller.question()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Decide, act, and write down what was done: once, after every test, before the report is written."""
        with undisturbed():  # a CI system's SIGTERM, which follows its SIGINT, must find the report complete
            self._results.note_end(self._run.record, session.items, exitstatus)
            interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
            try:
                self._controller.finish(interrupted=interrupted, wanted=self._interruptions.wants_rollback)
                session.exitstatus = self._report.finish(self._run, exitstatus)
            except Exception as error:  # an exception that leaves this hook would lose the report
                session.exitstatus = self._report.unfinished(error)
            try:
                return (yield)
            except (Exception, KeyboardInterrupt) as error:  # a page on a full disk
                session.exitstatus = self._report.unfinished(error)

    def pytest_unconfigure(self) -> None:
        """Leave nothing open."""
        self._run.close()
        self._interruptions.close()
        gc.freeze()  # nor need pytest's own collections at its end walk what the run has built
