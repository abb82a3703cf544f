from __future__ import annotations

from pathlib import Path

import pytest

from rollback.serving_history import PastRevisions, ServingHistory
from verification.settings.service import CloudRunSettings

SERVICE = CloudRunSettings(service="s", region="r", project="p")


def history(path: Path, script: str) -> PastRevisions:
    """`+a` is seen serving, `-a` is rolled back."""
    record = ServingHistory(path / "serving.jsonl")
    for word in script.split():
        seen = word[0] == "+"
        problem = record.observe(SERVICE, word[1:], None) if seen else record.mark_bad(SERVICE, word[1:])
        assert problem == ""
    return record.about(SERVICE)


@pytest.mark.parametrize(
    ("script", "failing", "expected"),
    [
        ("", "b", None),
        ("+b", "b", None),
        ("+a +b", "b", "a"),
        ("+a", "b", "a"),  # the failing one was never seen: a run before the deployment saw a
        ("+a +b +c", "c", "b"),
        ("+a +b -b +a +c", "c", "a"),  # b was rolled back: never again
        ("+a +b -b +c", "c", "a"),  # even where nobody saw a again
        ("+a +b -b +a", "b", "a"),
        ("+a +b -b +a +b +c", "c", "b"),  # b was put back by a person, and served
        ("+a +b +a +b", "b", "a"),
        ("+a +b +c +b", "b", "a"),  # before b was FIRST seen: c came after it
    ],
)
def test_the_previous_revision_is_the_last_one_seen_before_that_is_not_marked_bad(
    script: str, failing: str, expected: str | None, tmp_path: Path
) -> None:
    found = history(tmp_path, script).before(failing)
    assert (found.revision if found else None) == expected


@pytest.mark.parametrize(
    ("script", "serving", "expected"),
    [
        ("+a +b", "b", None),
        ("+a +b -b +a", "a", "b"),
        ("+a +b -b", "a", "b"),
        ("+a +b -b +a +c", "c", None),
        ("+a +b -b +a +b", "b", None),
        ("+a +b -b", "b", None),
    ],
)
def test_a_rollback_in_force_is_recognised(script: str, serving: str, expected: str | None, tmp_path: Path) -> None:
    found = history(tmp_path, script).rolled_back_for(serving)
    assert (found.revision if found else None) == expected


def test_the_same_observation_twice_is_one_line(tmp_path: Path) -> None:
    assert len(history(tmp_path, "+a +a +b +a").observations) == 3


def test_other_services_and_damaged_lines_do_not_count(tmp_path: Path) -> None:
    record = ServingHistory(tmp_path / "serving.jsonl")
    record.observe(SERVICE, "a", None)
    record.observe(SERVICE.model_copy(update={"project": "other"}), "x", None)
    record.observe(SERVICE.model_copy(update={"region": "other"}), "y", None)
    with record.path.open("a") as file:
        file.write('not json\n{"kind": "unheard-of"}\n{"observed_at": "2026-')
    record.observe(SERVICE, "b", None)
    assert [seen.revision for seen in record.about(SERVICE).observations] == ["a", "b"]


def test_a_record_that_cannot_be_written_says_so_and_raises_nothing(tmp_path: Path) -> None:
    assert "could not be written" in ServingHistory(tmp_path).observe(SERVICE, "a", None)
