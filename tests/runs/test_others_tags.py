"""Tags that other runs set and take away while this one asks move nobody, and keep no rollback from being possible."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from tests.clients.relay import relay_to
from tests.runs.conftest import Runner, World, until
from verification.records.journal import JournalView

OTHERS = "dv-control-0a1b2c"


@pytest.mark.parametrize("phase", ["smoke", "monitor"])
def test_tags_of_others_that_come_and_go_are_no_change_of_what_serves(
    phase: str, run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note, cloud_run = world.release(), world.document["cloud_run"]["rest"]
    tagged, looks = cycle(((OTHERS,), ())), []

    def journal() -> JournalView:
        return next((JournalView.read(path) for path in run.output.glob("*/journal.jsonl")), JournalView(Path(), ()))

    def the_other_comes_first(method: str, path: str) -> None:
        """From when the questions are put until what serves is known, each look finds that the service was written."""
        if method == "GET" and path.partition("?")[0].endswith("/bayit-plus-backend") and journal().has("begun"):
            looks.append(path)
            world.tag(note["previous"], *next(tagged))

    with relay_to(cloud_run) as relay:
        file = production((f'endpoint = "{cloud_run}"', f'endpoint = "{relay.address}"'))
        relay.before = the_other_comes_first
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        process = run.start("-m", phase, "--env", "production", f"--deployment={file}", variables=variables)
        try:
            until(lambda: journal().has("armed") or process.poll() is not None, "what a rollback would do")
        finally:
            process.send_signal(signal.SIGINT)
            ran = run.end(process)
    plan = journal().plan
    assert plan is not None, ran.said
    assert looks
    assert (plan.revision, plan.target) == (note["current"], note["previous"])
    assert plan.obstacle("service_was_changing") is None
    assert "asked again" not in " ".join(ran.verdict.notices), "nor is anything asked twice for it"
