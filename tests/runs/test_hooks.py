"""Every way in which a session can end, and what it means for production. The criteria are a team's own, beside the shipped ones."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.conftest import Ran, Runner, World, until

Team = Callable[..., Ran]

FAILS = """
    @pytest.mark.smoke
    def test_team(service):
        assert not the_release_answers(service), "the basket is empty"
"""


def with_release(note: dict[str, str], source: str) -> str:
    """`source`, which can ask whether the release answers: what is bad of it is good of the revision before."""
    says = 'service.get("/health/deep").value("revision")'
    asks = f"def the_release_answers(service):\n    return {says} == {note['current']!r}\n\n"
    return asks + textwrap.dedent(source)


@pytest.fixture
def team(
    run: Runner, world: World, production: Callable[..., Path], criteria: Callable[[str], str], account: dict[str, str]
) -> Team:
    """Runs the smoke phase with criteria of a team's own; the deployed revision itself is healthy."""

    def go(source: str, *arguments: str) -> Ran:
        note = world.release()
        file = production(more=criteria(with_release(note, source)))
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        return run("-m", "smoke", "--env", "production", f"--deployment={file}", *arguments, variables=variables)

    return go


def test_what_is_not_asked_of_the_service_cannot_be_asked_of_another_revision(team: Team, world: World) -> None:
    """In doubt, the checklist's word holds; that it fails afterwards too calls for a person."""
    ran = team("@pytest.mark.smoke\ndef test_team():\n    assert 1 == 2\n")
    assert (ran.code, ran.verdict.rollback.outcome, ran.verdict.rollback.helped) == (70, "done", False), ran.said
    assert "team: cannot be asked" in ran.verdict.rollback.reason
    assert world.answering() == {world.note()["previous"]}


def rolled_back(ran: Ran) -> bool:
    return ran.verdict.rollback.outcome == "done"


def test_a_failed_assert_rolls_back_even_where_nothing_is_asked_after_it(team: Team) -> None:
    ran = team(FAILS, "-x")
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert ran.verdict.rollback.triggers == ("team",)
    assert "the basket is empty" in ran.report


UNMENDABLE = "@pytest.mark.smoke\n@pytest.mark.unmendable('no revision')\ndef test_team():\n    {}\n"


@pytest.mark.parametrize(
    ("body", "code"),
    [("assert 1 == 2", 1), ("raise KeyError('items')", 75)],
    ids=["bad, and no other revision would do better", "inconclusive"],
)
def test_stopping_early_without_a_rollback_says_what_was_not_asked_and_calls_people(
    body: str, code: int, team: Team, world: World
) -> None:
    after = "\n@pytest.mark.smoke\ndef test_after():\n    pass\n"
    ran = team(UNMENDABLE.format(body) + after, "-x")
    assert (ran.code, rolled_back(ran)) == (code, False), ran.said
    asked, wanted = len(ran.verdict.criteria), ran.verdict.criteria_in_phase
    assert asked < wanted
    unasked = f"{wanted - asked} of {wanted} criteria were not asked"
    summary = (ran.folder / "summary.md").read_text(encoding="utf-8")
    for place in (ran.said, ran.report, summary, ran.verdict.rollback.reason):
        assert unasked in place
    assert "pytest -m smoke --env production" in summary
    queued = [entry.text("text") for entry in ran.journal if entry.event == "call-queued"]
    assert [unasked in text for text in queued] == [True, True], "Slack, and a ticket on GitHub"
    assert world.answering() == {world.note()["current"]}


def test_a_run_that_pytest_breaks_off_says_what_was_not_asked_and_calls_people(team: Team) -> None:
    """Nobody has interrupted it, and nobody would know: its journal is settled, so that no supervisor looks again."""
    ran = team("""
        class Breaks:
            def pytest_runtest_logreport(self):
                raise MemoryError("no row of a report is worth a run")

        @pytest.mark.smoke
        def test_team(request):
            request.config.pluginmanager.register(Breaks())
    """)
    assert ran.code == pytest.ExitCode.INTERNAL_ERROR, ran.said
    settled = next(entry for entry in ran.journal if entry.event == "settled")
    assert settled.text("guard") == "cut_off"
    queued = [entry.text("text") for entry in ran.journal if entry.event == "call-queued"]
    assert ["were not asked, because pytest broke" in text for text in queued] == [True, True]
    assert "pytest -m smoke --env production" in (ran.folder / "summary.md").read_text(encoding="utf-8")


def test_what_a_person_left_out_is_no_reason_to_call_people(team: Team) -> None:
    ran = team(UNMENDABLE.format("assert 1 == 2"), "-k", "team")
    assert ran.code == 1, ran.said
    assert "pytest -m smoke --env production" in (ran.folder / "summary.md").read_text(encoding="utf-8")
    assert [entry.event for entry in ran.journal if entry.event.startswith("call-")] == []


def test_a_fixture_that_finds_the_service_bad_rolls_back_before_its_criterion_and_after_it(team: Team) -> None:
    ran = team("""
        from verification.errors import ServiceError

        @pytest.fixture
        def bad_at_once():
            raise ServiceError("the basket service answered 500")

        @pytest.fixture
        def bad_in_the_end():
            yield
            raise ServiceError("the basket service answered 500")

        @pytest.mark.smoke
        def test_set_up(bad_at_once):
            pass

        @pytest.mark.smoke
        def test_teardown(bad_in_the_end):
            pass
    """)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert ran.verdict.rollback.triggers == ("set_up", "teardown")


def test_what_says_nothing_about_the_service_is_inconclusive_and_moves_nothing(team: Team) -> None:
    ran = team("""
        import time
        from verification.errors import ObserverError

        @pytest.mark.smoke
        def test_mistake():
            undefined_name

        @pytest.mark.smoke
        def test_key_error():
            raise KeyError("items")

        @pytest.mark.smoke
        def test_observer():
            raise ObserverError("down")

        @pytest.mark.smoke
        def test_skip():
            pytest.skip("a criterion that skips itself is what is tried here")

        @pytest.mark.smoke
        @pytest.mark.timeout(1)
        def test_timeout():
            time.sleep(60)
    """)
    assert ran.code == 75, ran.said
    verdicts = {name: ran.of(name) for name in ("mistake", "key_error", "observer", "skip", "timeout")}
    assert set(verdicts.values()) == {"inconclusive"}, verdicts
    assert ran.verdict.rollback.outcome == "not needed"
    assert (ran.folder / "junit.xml").exists()


def test_a_file_that_cannot_be_collected_judges_nothing(team: Team) -> None:
    ran = team("import nonsense_that_is_not_there\n")
    assert ran.code == 2, ran.said
    assert ran.verdict.verdict == "inconclusive"
    assert ran.verdict.rollback.outcome == "not needed"


Interrupted = Callable[[str, signal.Signals], Ran]


@pytest.fixture
def interrupted(
    run: Runner,
    world: World,
    production: Callable[..., Path],
    criteria: Callable[[str], str],
    account: dict[str, str],
    tmp_path: Path,
) -> Interrupted:
    """Runs the smoke phase of a healthy release, and signals the run once a team's criterion calls `wait()`."""

    def go(source: str, number: signal.Signals) -> Ran:
        marks, note = tmp_path / "running", world.release()
        wait = f"""
            import pathlib, time

            def wait():
                pathlib.Path({str(marks)!r}).touch()
                time.sleep(60)
        """
        file = production(more=criteria(textwrap.dedent(wait) + with_release(note, source)))
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        process = run.start("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
        try:
            until(marks.exists, "the criterion to run")
            os.kill(process.pid, number)
        finally:
            ran = run.end(process)
        return ran

    return go


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_without_a_failure_moves_nothing_and_leaves_its_report(
    number: signal.Signals, interrupted: Interrupted
) -> None:
    ran = interrupted("@pytest.mark.smoke\ndef test_team():\n    wait()\n", number)
    assert ran.code == 2, ran.said
    assert ran.verdict.verdict == "inconclusive"
    assert ran.verdict.rollback.outcome == "not needed"
    assert "the run was interrupted" in ran.report
    assert (ran.folder / "junit.xml").exists()
    assert "nobody watches now" in ran.said
    assert ran.journal[-1].event == "settled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_with_a_failure_rolls_back_first(
    number: signal.Signals, interrupted: Interrupted, world: World
) -> None:
    source = """
        @pytest.mark.smoke
        def test_bad(service):
            assert not the_release_answers(service)

        @pytest.mark.smoke
        def test_slow():
            wait()
    """
    ran = interrupted(source, number)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert world.answering() == {world.note()["previous"]}


def test_a_run_that_is_cancelled_while_a_failed_criterion_cleans_up_rolls_back(
    interrupted: Interrupted, world: World
) -> None:
    source = """
        @pytest.fixture
        def slow_to_leave():
            yield
            wait()

        @pytest.mark.smoke
        def test_bad(slow_to_leave, service):
            assert not the_release_answers(service)
    """
    ran = interrupted(source, signal.SIGTERM)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert world.answering() == {world.note()["previous"]}


def test_leaving_criteria_out_is_counted_and_at_best_inconclusive(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "-k", "basic_health", variables=world.variables)
    assert ran.code == 75, ran.said
    assert "1 of 9 criteria ran" in ran.said
    assert (ran.verdict.criteria_selected, ran.verdict.criteria_in_phase) == (1, 9)


def test_naming_a_file_counts_the_criteria_of_the_others(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "smoke/test_user_flows.py::test_search", variables=world.variables)
    assert ran.code == 75, ran.said
    assert ran.verdict.criteria_in_phase == 9


def test_a_failure_among_a_selection_still_rolls_back(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "-k", "login", "--fault", "login-broken", variables=world.variables)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said


def test_a_section_that_is_missing_deselects_its_criteria_and_is_listed(
    run: Runner, world: World, tmp_path: Path
) -> None:
    text = Path("deployment.toml").read_text(encoding="utf-8")
    start = text.index("[flows.search]")
    file = tmp_path / "deployment.toml"
    file.write_text(text[:start] + text[text.index("[flows.video_playback]") :], encoding="utf-8")
    ran = run("-m", "smoke", "--env", "sandbox", f"--deployment={file}", variables=world.variables)
    assert ran.code == 0, ran.said
    assert ran.verdict.criteria_in_phase == 8
    assert "flows.search" in ran.report


@pytest.fixture(scope="module")
def green(standing: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Runner, Ran]:
    """A healthy run, with copies of its page and its results below `ci`; and what ran it."""
    standing.put_right()
    run = Runner(tmp_path_factory.mktemp("green"))
    there = run.folder / "ci"
    copies = (f"--html={there / 'page.html'}", f"--junitxml={there / 'results.xml'}")
    ran = run("-m", "smoke", "--env", "sandbox", *copies, variables=standing.variables)
    assert ran.code == 0, ran.said
    return run, ran


def test_somebody_elses_html_and_junit_paths_get_a_copy(green: tuple[Runner, Ran]) -> None:
    run, ran = green
    assert (run.folder / "ci" / "page.html").read_text(encoding="utf-8") == ran.report
    assert (run.folder / "ci" / "results.xml").exists()


def test_an_older_green_report_is_never_what_a_killed_run_leaves(green: tuple[Runner, Ran], world: World) -> None:
    run, first = green
    process = run.start("-m", "smoke", "--env", "sandbox", "--fault", "dependency-slow", variables=world.variables)
    until(lambda: (run.output / "latest").resolve() != first.folder, "the second run's folder")
    os.kill(process.pid, signal.SIGKILL)
    killed = run.end(process)
    assert killed.folder != first.folder
    assert killed.verdict.verdict == "inconclusive"
    assert "this run has not finished" in killed.report.lower() or "not finished" in killed.report


def test_a_copy_that_cannot_be_written_leaves_the_exit_code_to_the_verdict(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--html=/proc/nowhere/page.html", variables=world.variables)
    assert ran.code == 0, ran.said
    assert "no copy of" in ran.said
    assert "Traceback" not in ran.said


def test_a_page_that_cannot_be_written_leaves_the_exit_code_to_the_verdict(team: Team) -> None:
    """As on a disk that is full: pytest-html breaks, after the rollback."""
    ran = team("""
        @pytest.mark.smoke
        def test_team(pytestconfig, service):
            page = next(one for one in pytestconfig.pluginmanager.get_plugins() if hasattr(one, "_generate_report"))
            page._generate_report = lambda *_, **__: open("/dev/full", "w").write("x" * 100_000)
            assert not the_release_answers(service)
    """)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert "Rolled back to" in ran.said
    assert "No space left on device" in ran.said


def test_a_plugin_that_breaks_does_not_keep_the_outcome_from_being_said(team: Team) -> None:
    ran = team("""
        @pytest.mark.smoke
        def test_team(pytestconfig, service):
            class Broken:
                def pytest_runtest_logreport(self, report):
                    raise RuntimeError("a slip in a plugin")

            pytestconfig.pluginmanager.register(Broken())
            assert not the_release_answers(service)
    """)
    assert (ran.code, rolled_back(ran)) == (1, True), ran.said
    assert "Rolled back to" in ran.said


def test_an_interrupted_run_follows_the_setting_where_nobody_can_be_asked(
    run: Runner, world: World, production: Callable[..., Path], criteria: Callable[[str], str], account: dict[str, str], tmp_path: Path
) -> None:  # fmt: skip
    marks, note = tmp_path / "running", world.release()
    team = f"""
        import pathlib, time

        @pytest.mark.smoke
        def test_team():
            pathlib.Path({str(marks)!r}).touch()
            time.sleep(60)
    """
    file = production(('when_interrupted = "hold" ', 'when_interrupted = "rollback" '), more=criteria(team))
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    process = run.start("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    try:
        until(marks.exists, "the criterion to run")
        os.kill(process.pid, signal.SIGINT)
    finally:
        ran = run.end(process)
    assert rolled_back(ran), ran.said
    assert ran.verdict.rollback.triggers == ("interrupted",)
    assert world.answering() == {note["previous"]}
