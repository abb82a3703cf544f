"""Who could not say at first which revision served before is heard before production moves there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import web
from tests.clients.relay import relay_to
from tests.runs.conftest import Runner, World
from tests.runs.test_control import tags
from verification.records.journal import JournalView


def test_a_note_alone_is_held_against_a_log_that_answers_late(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    """The note is wrong, and the log is down until something has failed: the traffic went to what was noted."""
    noted = world.release()["current"]
    world.release()
    with web.Client(base_url=world.url, headers={"User-Agent": "a browser"}) as browser:
        for _ in range(12):
            browser.get("/health")
    broken = world.release("login-broken")["current"]
    world.break_("monitoring-down")

    def is_down(_method: str, path: str) -> tuple[int, str] | None:
        journals = (JournalView.read(file) for file in run.folder.glob("output/*/journal.jsonl"))
        down = "entries:list" in path and not any(journal.has("failed") for journal in journals)
        return (503, "down") if down else None

    with relay_to(world.document["logging"]) as logging:
        logging.before = is_down
        file = production((world.document["logging"], logging.address))
        ran = run(
            "-m",
            "smoke",
            "--env",
            "production",
            f"--deployment={file}",
            variables={**account, "PREVIOUS_REVISION": noted},
        )
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.guard) == ("withheld", "target_disputed"), ran.said
    assert world.answering() == {broken}
    assert tags(world) == [], "the control of what was noted is gone"
