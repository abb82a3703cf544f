"""A run in stages: what is asked before a deployment, right after it, and once it is through, in this order."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Protocol, cast

import pytest

from verification.criteria.criterion import asked_by, phase_of
from verification.criteria.results import CriterionResults
from verification.criteria.scheduling import Waiting, run_in_order_of_answers
from verification.errors import SettingsError, VerificationError
from verification.records.deployments import FollowedDeployment
from verification.records.run_record import POST_DEPLOY_PHASES
from verification.redaction import redact
from verification.run.run import DEPLOYMENT, Run
from verification.verdict import Verdict

# The phases that are asked together.
BEFORE, AFTER, FOLLOW_UP = frozenset({"", "pre"}), POST_DEPLOY_PHASES, frozenset({"followup"})
STAGES = (BEFORE, AFTER, FOLLOW_UP)


class RollbackHooks(Protocol):
    """What the rollback does between the stages."""

    def start_supervisor(self) -> None:
        """Have a process that finishes the run's rollback if the run is killed."""
        ...

    def arm(self) -> None:
        """Settle what a rollback would do, before the first verdict."""
        ...


class ReportHooks(Protocol):
    """What the report does between the stages."""

    def waiting(self, config: pytest.Config, run: Run) -> Waiting:
        """Show, around each wait for an answer, what is waited for."""
        ...

    def log(self, run: Run) -> None:
        """Tell the deployment log what became of the deployment."""
        ...


def divided(items: Iterable[pytest.Item]) -> list[tuple[frozenset[str], list[pytest.Item]]]:
    """The stages that have any of `items`, each with its own."""
    known = list(items)
    parts = [(stage, [item for item in known if phase_of(item) in stage]) for stage in STAGES]
    return [(stage, part) for stage, part in parts if part]


class StageRunner:
    """Runs the criteria, stage after stage; none is entered while something before it does not pass."""

    def __init__(self, run: Run, results: CriterionResults, rollback: RollbackHooks, report: ReportHooks) -> None:
        self._run = run
        self._results = results
        self._rollback = rollback
        self._report = report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start everything that the first stage's criteria need, side by side. Raises pytest.UsageError."""
        broken = session.testsfailed and not session.config.option.continue_on_collection_errors
        if broken or not self._run.record.phases:
            return  # pytest will run no test
        _, items = divided(session.items)[0]
        try:
            self._run.start({name for item in items for name in asked_by(item)})
        except SettingsError as error:
            raise pytest.UsageError(redact(str(error))) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Enter each stage, then judge what is known first, first."""
        if not self._run.started or (session.testsfailed and not session.config.option.continue_on_collection_errors):
            return None  # pytest's own loop says what is wrong
        waiting = self._report.waiting(session.config, self._run)
        stages = divided(session.items)
        for number, (stage, items) in enumerate(stages):
            earlier, last = [before for before, _ in stages[:number]], number + 1 == len(stages)
            if earlier and not self._may_go_on("followed up" if AFTER in earlier else "deployed"):
                break
            self._enter(session, stage, items, earlier, last=last)
            run_in_order_of_answers(session, items, self._run.probes, waiting, last=last)
        return True

    def _may_go_on(self, done: str) -> bool:
        bad = [result.id for result in self._results.complete.values() if result.verdict is not Verdict.PASS]
        if bad:
            self._run.record.notices.append(f"nothing was {done}, because these do not pass: {', '.join(bad)}")
        return not bad

    def _enter(
        self,
        session: pytest.Session,
        stage: frozenset[str],
        items: list[pytest.Item],
        earlier: list[frozenset[str]],
        *,
        last: bool,
    ) -> None:
        run, probes = self._run, {name for item in items for name in asked_by(item)}
        if stage is FOLLOW_UP and AFTER in earlier:
            run.record.criteria = self._results.in_order(session.items)
            self._report.log(run)
            run.follow_up(probes)
            return
        if stage is BEFORE and not last:
            return  # nothing is deployed yet that could be taken back
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():  # it speaks where a person reads it
            self._rollback.start_supervisor()
        if earlier:
            run.deploy(probes)
        if run.waits_for_deployment:
            with self._report.waiting(session.config, run)() as idle:
                run.probes.next_settled([(DEPLOYMENT,)], idle)
            run.ask_deployed(probes)
        self._rollback.arm()
        if stage is FOLLOW_UP:
            self._note_followed()
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        for notice in run.record.notices if reporter else ():
            reporter.write_line(f"note: {redact(notice)}", yellow=True)

    def _note_followed(self) -> None:
        """Note in the run's record which deployment is followed up: not always the one that serves."""
        record = self._run.record
        try:
            followed = cast("FollowedDeployment", self._run.probes.result("followed_deployment")).deployment
        except VerificationError as problem:
            record.notices.append(redact(f"which deployment is followed up is not known: {problem.cause}"))
            return
        record.revision, record.previous_revision = followed.revision, followed.previous
        record.commit, record.deployed = followed.commit, followed.deployed
