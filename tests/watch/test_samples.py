"""The file that keeps the samples of a watch."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from verification.watch.criteria.gauges import DEPENDENCY
from verification.watch.criteria.repeated_checks import HEALTH
from verification.watch.criteria.traffic import LOG
from verification.watch.samples import Sample, SampleFile, TrafficBlock

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
MONGODB = f"{DEPENDENCY}mongodb"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


ALL = [
    Sample("watch", START, 900.0, "backend-00002-abc"),
    Sample(HEALTH, at(1), 1.0, took_ms=12.5),
    Sample(HEALTH, at(2), 0.0, text="status is 503"),
    Sample(MONGODB, at(3), 7),
    Sample(MONGODB, at(3), -7.25),
    Sample(LOG, at(4), traffic=TrafficBlock(10.0, 5, 1, 2, 3, 1, 9, ((100.0, 4), (math.inf, 1)))),
    Sample(LOG, at(5), missing=True, text="the request log could not be read"),
]


@pytest.fixture
def file(tmp_path: Path) -> SampleFile:
    return SampleFile(tmp_path / "samples.csv")


def test_what_was_seen_can_be_read_again(file: SampleFile) -> None:
    file.append(ALL[:3])
    file.append(ALL[3:])
    assert SampleFile(file.path).read() == ALL
    file.append([Sample(MONGODB, at(9), math.nan)])
    last = file.read()[-1].value
    assert last is not None
    assert math.isnan(last)


@pytest.mark.parametrize(
    "hostile",
    [
        'quote " comma , semicolon ;',
        "=HYPERLINK(evil)",
        "NUL \x00 and bell \x07",
        "half a character \ud800",
        "\u202eright to left",
        "line\nbreak\r\nand\u2028more",
        "long " * 100_000,
    ],
)
def test_hostile_text_changes_no_other_sample(hostile: str, file: SampleFile) -> None:
    file.append([Sample(HEALTH, at(1), 0.0, key=hostile, text=hostile), *ALL])
    found = file.read()
    assert found[1:] == ALL
    assert (found[0].stream, found[0].value) == (HEALTH, 0.0)
    assert file.path.stat().st_size < 10_000
    assert not file.problem


def test_a_torn_last_line_is_passed_over_wherever_it_was_torn(file: SampleFile) -> None:
    file.append(ALL)
    whole = file.path.read_bytes()
    begun = whole.rindex(b"\n", 0, -1) + 1
    second_last = whole.rindex(b"\n", 0, begun - 1) + 1
    for cut in range(second_last + 1, begun - 1):
        file.path.write_bytes(whole[:cut])
        assert file.read() == ALL[:-2], whole[second_last:cut]
    file.path.write_bytes(whole[:-1] + b"\xff\xfe")
    assert file.read() == ALL[:-1]


@pytest.mark.parametrize(
    "line", ["", ",,,", "health,yesterday,,1.0,,,", "health,2026-03-03T15:00:00,,1.0,,,,,,,,,,,", "\x00"]
)
def test_a_line_that_is_none_is_passed_over(line: str, file: SampleFile) -> None:
    file.append(ALL)
    with file.path.open("a", encoding="utf-8") as text:
        text.write(line + "\n")
    file.append(ALL[:1])
    assert file.read() == [*ALL, ALL[0]]


def test_a_file_that_cannot_be_written_stops_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").mkdir()
    file = SampleFile(tmp_path / "samples.csv")
    file.append(ALL)
    assert "cannot be written" in file.problem
    assert file.read() == []
    assert SampleFile(tmp_path / "nowhere" / "samples.csv").read() == []
