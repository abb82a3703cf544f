"""Who is to blame decides the verdict: real endings of real criteria, as pytest reports them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import pytest

from tests import fork_server
from verification.criteria.results import StageResult, judge_stage
from verification.verdict import Verdict

CRITERIA = """
import time

import pytest

from verification.errors import NotAsked, NotPermitted, ObserverError, ServiceError, SettingsError
from verification.verdict import Measurement

pytestmark = pytest.mark.smoke
STATUS = Measurement("status", 500)


def ends_with(error):
    @pytest.fixture
    def ending():
        raise error

    return ending


def ends_afterwards_with(error):
    @pytest.fixture
    def ending():
        yield
        raise error

    return ending


service_set_up = ends_with(ServiceError("it is bad"))
assertion_set_up = ends_with(AssertionError("it is bad"))
observer_set_up = ends_with(ObserverError("nobody knows"))
mistake_set_up = ends_with(TypeError("a slip"))
service_teardown = ends_afterwards_with(ServiceError("it is bad after all"))
observer_teardown = ends_afterwards_with(ObserverError("nobody knows"))
mistake_teardown = ends_afterwards_with(KeyError("a slip"))


def test_pass_good(): Measurement("status", 200).must_be(200)
def test_fail_measurement(): STATUS.must_be(200)
def test_fail_service_error(): raise ServiceError("it is bad", "Mend it.")
def test_fail_assert(): assert 500 == 200, "it is bad"
def test_fail_pytest_fail(): pytest.fail("it is bad")
def test_fail_set_up(service_set_up): pass
def test_fail_set_up_assert(assertion_set_up): pass
def test_fail_teardown(service_teardown): pass
def test_fail_call_before_teardown(observer_teardown): assert False, "it is bad"
def test_fail_teardown_after_inconclusive_call(service_teardown): raise ObserverError("nobody knows")
def test_inconclusive_observer(): raise ObserverError("nobody knows", "Ask again.")
def test_inconclusive_not_permitted(): raise NotPermitted("we may not ask")
def test_inconclusive_not_asked(): raise NotAsked("nothing to ask with")
def test_inconclusive_settings(): raise SettingsError("no such table")
def test_inconclusive_missing_by_observer(): Measurement("errors", None, problem=ObserverError("nobody knows")).must_be(0)
def test_inconclusive_type_error(): None + 1
def test_inconclusive_key_error(): {}["no such key"]
def test_inconclusive_recursion(): test_inconclusive_recursion()
def test_inconclusive_exit(): raise SystemExit(1)
def test_inconclusive_os_error(): raise ConnectionRefusedError("of our own")
def test_inconclusive_set_up(observer_set_up): pass
def test_inconclusive_set_up_mistake(mistake_set_up): pass
def test_inconclusive_teardown(observer_teardown): pass
def test_inconclusive_teardown_mistake(mistake_teardown): pass
def test_inconclusive_no_such_fixture(no_such_fixture): pass
def test_inconclusive_skip(): pytest.skip("a criterion that skips itself is what is tried here")
@pytest.mark.skip(reason="a criterion that is marked so is what is tried here")
def test_inconclusive_skip_mark(): pass
@pytest.mark.xfail(reason="known")
def test_inconclusive_expected_failure(): assert False
@pytest.mark.xfail(reason="known")
def test_inconclusive_failure_that_did_not_come(): pass
def test_inconclusive_importorskip(): pytest.importorskip("no_such_module_anywhere")
@pytest.mark.timeout(0.2)
def test_inconclusive_timeout(): time.sleep(30)
@pytest.mark.timeout(0.2)
def test_fail_says_timeout_itself():
    pytest.fail("the service says: Timeout (>5s)")
"""


@dataclass(frozen=True)
class Ending:
    """What verdict.json says of one criterion."""

    verdict: str
    reason: str
    hint: str
    measurements: int


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ending]:
    """All of the criteria above, run as a team's own, in one run."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "criteria").mkdir()
    (folder / "criteria" / "test_endings.py").write_text(CRITERIA)
    deployment = folder / "deployment.toml"
    deployment.write_text(
        '[service]\nname = "a"\n[environments.production]\nroles = ["production"]\nurl = "http://127.0.0.1:9"\n'
        '[criteria]\npaths = ["criteria"]\n'
    )
    done = fork_server.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "smoke",
            "--env=production",
            f"--deployment={deployment}",
            f"--output={folder / 'output'}",
            "-p",
            "no:cacheprovider",
        ],
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (verdict,) = (one for one in (folder / "output").glob("*/verdict.json") if not one.parent.is_symlink())
    return {
        one["id"]: Ending(one["verdict"], one["reason"], one["hint"], len(one["measurements"]))
        for one in json.loads(verdict.read_text())["criteria"]
    }


NAMES = [
    line.partition("(")[0].removeprefix("def test_") for line in CRITERIA.splitlines() if line.startswith("def test_")
]


def test_every_ending_was_tried(endings: dict[str, Ending]) -> None:
    assert set(endings) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_only_what_says_something_bad_about_the_service_fails(endings: dict[str, Ending], name: str) -> None:
    """The criterion's name begins with the verdict that it must come to."""
    assert endings[name].verdict == name.partition("_")[0], endings[name].reason


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("pass")])
def test_whatever_is_not_a_pass_says_why(endings: dict[str, Ending], name: str) -> None:
    assert endings[name].reason


def test_the_remedy_is_passed_on(endings: dict[str, Ending]) -> None:
    assert endings["fail_service_error"].hint == "Mend it."
    assert endings["inconclusive_observer"].hint == "Ask again."
    assert "says nothing about the service" in endings["inconclusive_type_error"].hint


def test_what_was_measured_is_kept_whether_it_was_good_or_bad(endings: dict[str, Ending]) -> None:
    names = ("pass_good", "fail_measurement", "inconclusive_key_error")
    # What fails is asked again, and how that went is measured too.
    assert [endings[name].measurements for name in names] == [1, 2, 0]


def test_of_two_outcomes_the_worse_one_stays_whichever_came_first() -> None:
    order = [StageResult(Verdict.FAIL), StageResult(Verdict.INCONCLUSIVE), StageResult(Verdict.PASS)]
    for better, one in enumerate(order):
        for worse, other in enumerate(order):
            assert one.worst(other) == order[min(better, worse)]


def test_what_pytest_asserts_about_itself_is_no_fault_of_the_service() -> None:
    report = pytest.TestReport("a", ("a", 1, "a"), {}, "failed", "previous item was not torn down", "setup")
    inside = compile("assert False, 'previous item was not torn down'", "runner.py", "exec")
    with pytest.raises(AssertionError) as internal:
        exec(inside, {"__name__": "_pytest.runner"})  # noqa: S102
    assert judge_stage(report, internal.value).verdict is Verdict.INCONCLUSIVE
    with pytest.raises(AssertionError) as own:
        raise AssertionError("the basket is empty")
    assert judge_stage(report, own.value).verdict is Verdict.FAIL
