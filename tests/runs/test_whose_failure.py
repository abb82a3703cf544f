"""Whose failure it is: whole runs in which another revision, or another service, answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tests.clients.relay import relay_to
from tests.runs.conftest import Runner, World, until

NAMES = """
[environments.production.health.reported_revision]
path = "/health/deep"
field = "revision"
"""


def test_a_hotfix_that_comes_while_the_broken_revision_answers_stays(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    """What serves is looked at after the questions were answered: Cloud Run's answer is held up for as long.

    Then all is asked again, of the hotfix; but a wrong password, which is never sent twice, is left without an answer.
    """
    broken = world.release("login-broken")["current"]
    hotfixes: list[str] = []
    lock = threading.Lock()

    def hold_up(method: str, path: str) -> None:
        with lock:
            if not hotfixes and method == "GET" and "/services/" in path:
                until(lambda: world.answers(broken, 500) > 0, "the broken revision's answer to the login")
                hotfixes.append(world.release()["current"])

    run_api = world.document["cloud_run"]["rest"]
    with relay_to(run_api) as relay:
        relay.before = hold_up
        file = production((f'endpoint = "{run_api}"', f'endpoint = "{relay.address}"'), more=NAMES)
        variables = {**account, "PREVIOUS_REVISION": broken}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code in {0, 75}, ran.said
    assert "the service was changed while its first questions were asked: they were asked again" in ran.said
    assert "no rollback would be possible" not in ran.said
    assert [one.id for one in ran.verdict.criteria if one.verdict != "pass"] in ([], ["login"])
    assert ran.verdict.revision == hotfixes[0]
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == set(hotfixes)


def test_the_traffic_of_another_service_than_the_one_that_answers_stays(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    world.release("login-broken")
    staging = world.document["environments"]["staging"]["deployment"]
    file = production(
        ('service = "bayit-plus-backend"\n', 'service = "bayit-plus-backend-staging"\n'),
        ('deployed_within = "2h"', 'deployed_within = "30d"'),
        more=NAMES,
    )
    variables = {**account, "PREVIOUS_REVISION": staging["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "withheld"
    assert "the service bayit-plus-backend-staging has no such revision" in ran.verdict.rollback.reason
    assert ran.said.index("the service bayit-plus-backend-staging has no such") < ran.said.index("verdict =")
