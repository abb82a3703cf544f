"""The deployment itself: which run of the workflow it was, whether it made the revision, and how users fared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.hostile import Conversation, hostile
from verification.clients.github.workflow import WorkflowJob, WorkflowRun
from verification.clients.google.cloud_logging import LoggedRequest
from verification.clients.google.cloud_run import RevisionState
from verification.errors import NotAsked, NotPermitted, ObserverError, ServiceError, Unconfirmed
from verification.probes.deploy.transition import Transition, counted
from verification.probes.deploy.workflow import FollowedRun, must_have_made, workflow_run
from verification.settings.deploy import Deploy
from verification.settings.model import Settings
from verification.settings.observers import GitHubSettings
from verification.settings.service import ServiceInfo
from verification.verdict import collecting

BEGAN = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GREEN = ("success", "success", "success", "success")
ROLLS_BACK = ("success", "skipped", "success", "success")
BUILD_RED = ("success", "failure", "skipped", "skipped")
NAMES = ("validate-inputs", "build", "deploy", "health-check")

Json = dict[str, object]


def jobs(conclusions: Sequence[str]) -> tuple[WorkflowJob, ...]:
    return tuple(
        WorkflowJob(name, conclusion, BEGAN + number * MINUTE, BEGAN + (number + 1) * MINUTE)
        for number, (name, conclusion) in enumerate(zip(NAMES, conclusions, strict=True))
    )


def followed(conclusions: Sequence[str], conclusion: str = "success", commit: str = "c1") -> FollowedRun:
    run = WorkflowRun(7, "https://github.example/7", conclusion, "completed", commit, BEGAN)
    return FollowedRun(run, jobs(conclusions))


@pytest.mark.parametrize(
    ("conclusions", "rolls_back"),
    [
        (GREEN, False),
        (ROLLS_BACK, True),
        (BUILD_RED, False),
        (("success", "skipped", "failure", "skipped"), True),  # a rollback that failed
        (("failure", "skipped", "skipped", "skipped"), False),
        (("success", "", "", ""), False),  # it builds
        (("success", "skipped", "", ""), True),
    ],
)
def test_a_run_that_builds_nothing_is_a_rollback(conclusions: Sequence[str], rolls_back: bool) -> None:
    assert followed(conclusions).rolls_back is rolls_back


@pytest.mark.parametrize(
    ("created", "commit", "made"),
    [
        (BEGAN + 2 * MINUTE, "c1", True),
        (BEGAN + 2 * MINUTE, "", True),  # its label is missing: the time has to do
        (BEGAN - timedelta(seconds=20), "c1", True),  # clocks differ
        (BEGAN - 2 * MINUTE, "c1", False),
        (BEGAN + 6 * MINUTE, "c1", False),
        (BEGAN + 2 * MINUTE, "c2", False),
    ],
)
def test_a_revision_is_of_a_run_by_its_time_and_its_commit(created: datetime, commit: str, made: bool) -> None:
    revision = RevisionState("r-2", created, ready=True, commit=commit, image="i")
    if made:
        must_have_made(followed(GREEN), revision)
        return
    with pytest.raises(NotAsked, match="r-2"):
        must_have_made(followed(GREEN), revision)


def test_a_red_job_is_named_with_its_step_and_a_green_run_has_a_duration() -> None:
    red = FollowedRun(
        followed(BUILD_RED, "failure").run, (WorkflowJob("build", "failure", BEGAN, BEGAN + MINUTE, "Push the image"),)
    )
    with (
        collecting(),
        pytest.raises(ServiceError, match=r"job build is failure.*it failed at the step 'Push the image'"),
    ):
        red.results.must_all_be_one_of("success")
    duration = followed(GREEN).duration
    assert (duration.value, duration.unit) == (240.0, "s")
    with collecting(), pytest.raises(ObserverError):
        FollowedRun(red.run, ()).duration.must_be_below(600)


# --- the run that is followed --------------------------------------------------------------------------------


def run(number: int, status: str = "completed", conclusion: str | None = "success") -> Json:
    ended = status == "completed"
    return {
        "id": number,
        "status": status,
        "conclusion": conclusion if ended else None,
        "html_url": f"https://github.example/{number}",
        "head_sha": "c1",
        "created_at": (BEGAN + number * MINUTE).isoformat(),
    }


@contextmanager
def github(answers: Sequence[Sequence[Json] | int], built: Sequence[int] = range(99)) -> Iterator[Settings]:
    """GitHub with those runs, or that status, one answer after the other; the last one stays. `built`: deployments."""
    asked: list[str] = []

    def script(one: Conversation) -> None:
        path = one.request.split()[1].partition("?")[0]
        if path.endswith("/jobs"):
            number = int(path.split("/")[-2])
            build = "success" if number in built else "skipped"
            one.answer(json.dumps({"jobs": [{"name": "build", "conclusion": build}]}).encode())
        elif path.endswith("/runs"):
            asked.append(path)
            found = answers[min(len(asked), len(answers)) - 1]
            if isinstance(found, int):
                one.answer(b"{}", f"{found} No")
            else:
                one.answer(json.dumps({"workflow_runs": found}).encode())
        else:
            one.answer(json.dumps({"workflows": [{"id": 1, "name": "w"}]}).encode())

    with hostile(script) as server:
        yield Settings(
            environment="production",
            roles=["production"],
            service=ServiceInfo(name="a"),
            github=GitHubSettings(url=server.url, repository="o/r", workflow="w", timeout="2s"),  # type: ignore[arg-type]
            deploy=Deploy(within="0.5s"),  # type: ignore[arg-type]
        )


def asked(settings: Settings) -> FollowedRun:
    return workflow_run(settings, {"GITHUB_TOKEN": "ghp-token-1"})


@pytest.mark.parametrize(
    ("runs", "built", "expected"),
    [
        ([run(3), run(2)], [2, 3], 3),
        ([run(2), run(3)], [2, 3], 3),  # in whatever order they come
        ([run(3), run(2)], [2], 2),  # the newest goes back to another revision
        ([run(3, conclusion="failure"), run(2)], [2, 3], 3),
        ([run(3, conclusion="cancelled"), run(2)], [2, 3], 3),
    ],
)
def test_the_newest_deployment_is_followed(runs: Sequence[Json], built: Sequence[int], expected: int) -> None:
    with github([runs], built) as settings:
        assert asked(settings).run.id == expected


@pytest.mark.parametrize(
    ("answers", "built", "error", "words"),
    [
        ([[]], [], NotAsked, "has not deployed anything yet"),
        ([[run(3)]], [], NotAsked, "has not deployed anything yet"),
        ([[run(3, "waiting")]], [3], ObserverError, "waits for an approval"),
        ([[run(3, "queued")]], [3], ObserverError, "waits for a runner"),
        ([[run(3, "in_progress")]], [3], ObserverError, "deploy.within"),
        ([[run(3, "in_progress"), run(2, "queued")]], [2, 3], ObserverError, "2 deployments are under way"),
        ([404], [], ObserverError, "GitHub"),
        ([403], [], NotPermitted, "GitHub"),
    ],
)
def test_what_cannot_be_followed_is_said_with_its_remedy(
    answers: Sequence[Sequence[Json] | int], built: Sequence[int], error: type[ObserverError], words: str
) -> None:
    with github(answers, built) as settings, pytest.raises(error) as raised:
        asked(settings)
    assert words in f"{raised.value} {raised.value.remedy}"


def test_a_deployment_under_way_is_waited_for_though_github_is_away_meanwhile() -> None:
    with github([[run(3, "in_progress")], 502, [run(3)]]) as settings:
        patient = settings.model_copy(update={"deploy": Deploy(within="30s")})  # type: ignore[arg-type]
        found = asked(patient)
    assert (found.run.id, found.run.conclusion) == (3, "success")


# --- users meanwhile -----------------------------------------------------------------------------------------


def request(
    number: int, status: int = 200, revision: str = "r-2", agent: str = "browser", said: str = ""
) -> LoggedRequest:
    return LoggedRequest(str(number), BEGAN, revision, status, 0.1, agent, "/", said=said)


def test_users_requests_are_counted_whichever_revision_answered() -> None:
    no_instance = "The request was aborted because there was no available instance."
    requests = [
        request(1, revision="r-1"),
        request(2),
        request(3, 500),
        request(4, 404),
        request(5, 429, said=no_instance),
        request(6, 500, agent="deployment-verification/1"),
    ]
    assert counted(requests, "r-2", 12.34) == Transition("r-2", errors=2, total=5, by_it=4, seconds=12.3)


@pytest.mark.parametrize(
    ("errors", "total", "by_it", "error"),
    [
        (0, 100, 60, None),
        (1, 12, 3, None),  # one says nothing
        (3, 12, 3, Unconfirmed),
        (30, 100, 60, ServiceError),
        (5, 1000, 600, None),
        (0, 0, 0, ObserverError),
        (0, 50, 0, ObserverError),  # all went to the revision before
    ],
)
def test_a_transition_is_judged_by_what_is_certain(
    errors: int, total: int, by_it: int, error: type[Exception] | None
) -> None:
    with collecting() as measured:
        if error is None:
            Transition("r-2", errors, total, by_it, 60).must_be_smooth(0.01)
        else:
            with pytest.raises(error):
                Transition("r-2", errors, total, by_it, 60).must_be_smooth(0.01)
    (share,) = measured
    assert (share.value is None, share.samples, share.limit) == (not by_it, total, 1.0)
