"""A chart: what it shows of a series, read as the XML that it is."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # (our own output)
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from reports.charts.chart import chart
from reports.charts.points import MOST_POINTS, ChartPoint, downsample, gaps, svg_paths
from reports.charts.scale import round_numbers
from reports.page import table_row
from tests.reports.conftest import HOSTILE
from verification.records.run_record import RunRecord
from verification.series import Series
from verification.verdict import Verdict

BEGAN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
TAGS = {"svg", "title", "desc", "pattern", "path", "text"}
NAME = "{http://www.w3.org/2000/svg}"


def series(*values: float | None, every: float = 10.0) -> Series:
    points = tuple((BEGAN + timedelta(seconds=every * index), value) for index, value in enumerate(values))
    return Series("p95_latency", "95 % are answered in time.", "ms", points)


def read(drawn: str) -> ET.Element:
    assert "\n" not in drawn, "pytest-html finds a cell's text only where it stands on one line"
    assert "nan" not in drawn.replace("p95", "")
    assert "inf" not in drawn
    return ET.fromstring(drawn)  # noqa: S314


def texts(drawn: str) -> list[str]:
    return [one.text or "" for one in read(drawn).iter(f"{NAME}text")]


def paths(drawn: str, kind: str) -> list[str]:
    return [one.get("d", "") for one in read(drawn).iter(f"{NAME}path") if one.get("class") == f"chart-{kind}"]


def description(drawn: str) -> str:
    return read(drawn).findtext(f"{NAME}desc") or ""


def test_it_says_in_words_what_it_shows() -> None:
    watched = replace(
        series(*[300.0] * 40, 900.0, None), limit=500.0, roll_back_at=1000.0, decided_at=BEGAN + timedelta(minutes=6)
    )
    drawn = chart(watched)
    assert texts(drawn)[-3:] == ["rolls back at 1000 ms", "limit 500 ms", "decided after 6 minutes"]
    assert "minutes since 10:15:00 UTC" in texts(drawn)
    assert "not observed" in texts(drawn)
    assert description(drawn) == (
        "41 values over 6.83 minutes: lowest 300 ms, highest 900 ms, last 900 ms. Not observed: 1 of 42. Limit: 500 ms. "
        "Rolls back at 1000 ms. Decided after 6 minutes."
    )


def test_a_screen_reader_finds_its_title_and_description_and_no_other_chart_s() -> None:
    first, second = (read(chart(one)) for one in (series(1.0), series(2.0)))
    assert first.get("role") == "img"
    own = [one.get("id") for one in (first.find(f"{NAME}title"), first.find(f"{NAME}desc")) if one is not None]
    assert str(first.get("aria-labelledby")).split() == own
    assert first.get("aria-labelledby") != second.get("aria-labelledby")


def test_the_limit_and_what_rolls_back_differ_by_more_than_their_colour() -> None:
    drawn = read(chart(replace(series(1.0, 2.0), limit=5.0, roll_back_at=9.0)))
    lines = {
        one.get("class"): one.get("stroke-dasharray")
        for one in drawn.iter(f"{NAME}path")
        if one.get("stroke-dasharray")
    }
    assert set(lines) == {"chart-limit", "chart-roll-back"}
    assert len(set(lines.values())) == 2


def test_names_of_lines_that_are_close_stand_on_either_side() -> None:
    drawn = read(chart(replace(series(100.0), limit=50.0, roll_back_at=52.0)))
    upper, lower = (
        float(str(one.get("y")))
        for one in drawn.iter(f"{NAME}text")
        if (one.text or "").startswith(("rolls back", "limit"))
    )
    assert lower - upper > 12


def test_nothing_observed_is_a_gap_and_never_zero() -> None:
    drawn = chart(series(5.0, 6.0, None, 5.0, 7.0))
    (line,) = paths(drawn, "line")
    assert line.count("M") == 2
    assert line.count("L") == 2
    assert "not observed" in texts(drawn)
    assert "not observed" not in texts(chart(series(5.0, 6.0, 5.0)))


def test_gaps_reach_from_the_point_before_to_the_point_after_and_to_the_edges() -> None:
    some = [
        ChartPoint(10, None),
        ChartPoint(20, 1.0),
        ChartPoint(30, None),
        ChartPoint(40, None),
        ChartPoint(50, 2.0),
        ChartPoint(60, None),
    ]
    assert list(gaps(some, 10, 70)) == [(10, 20), (20, 50), (50, 70)]
    assert list(gaps([ChartPoint(10, 1.0), ChartPoint(70, 1.0)], 10, 70)) == []
    assert list(gaps([], 10, 70)) == [(10, 70)]


def test_a_point_between_two_gaps_is_a_dot() -> None:
    assert svg_paths([ChartPoint(1, None), ChartPoint(2, 3.0), ChartPoint(4, None)]) == ("", "M2.0 3.0h.01")
    assert svg_paths([ChartPoint(1, 1.0), ChartPoint(2, 3.0), ChartPoint(4, None)]) == ("M1.0 1.0L2.0 3.0", "")


@pytest.mark.parametrize(
    "values",
    [
        (),
        (None,) * 20,
        (5.0,),
        (0.0, 0.0),
        (7.0,) * 10,
        (-3.0, -2.0),
        (1.7e308, -1.7e308, 1.0),
        (5e-324, 0.0),
        (1e-9, 1e9),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [None, 0.0, 500.0, 1.7e308])
def test_extreme_values_stay_inside_the_chart(values: tuple[float | None, ...], limit: float | None) -> None:
    drawn = chart(replace(series(*values), limit=limit))
    width, height = map(float, str(read(drawn).get("viewBox")).split()[2:])
    for label in read(drawn).iter(f"{NAME}text"):
        assert 0 <= float(str(label.get("x"))) <= width
        assert 0 <= float(str(label.get("y"))) <= height
    seen = sum(value is not None for value in values)
    assert sum(path.count("M") + path.count("L") for kind in ("line", "dots") for path in paths(drawn, kind)) == seen


@pytest.mark.parametrize("wrong", [nan, inf, -inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="p95_latency is no finite number"):
        chart(series(1.0, wrong))
    with pytest.raises(ValueError, match="p95_latency is no finite number"):
        chart(replace(series(1.0), limit=wrong))


def test_points_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="not in order of time"):
        chart(replace(series(), points=series(1.0, 2.0).points[::-1]))


def test_of_many_points_every_extreme_and_every_gap_is_kept_and_it_stays_small() -> None:
    values: list[float | None] = [300.0 + index % 7 for index in range(8640)]
    values[1234], values[5000], values[7777] = 999.0, 1.0, None
    watched = series(*values)
    kept = [value for _, value in downsample(watched.points)]
    assert len(kept) <= MOST_POINTS
    assert {999.0, 1.0, None} <= set(kept)
    assert [when for when, _ in downsample(watched.points)] == sorted(when for when, _ in downsample(watched.points))
    assert len(chart(watched)) < 15_000
    assert "Not observed: 1 of 8640." in description(chart(watched))
    assert len(chart(series(*(float(index % 2) if index % 3 else None for index in range(360))))) < 15_000


def test_a_decision_after_the_last_value_has_its_place() -> None:
    drawn = chart(replace(series(1.0, 2.0), decided_at=BEGAN + timedelta(seconds=40)))
    (decision,) = paths(drawn, "decision")
    (line,) = paths(drawn, "line")
    assert float(decision[1:].split()[0]) > float(line.rpartition("L")[2].split()[0])
    early = chart(replace(series(1.0, 2.0), decided_at=BEGAN - timedelta(seconds=40)))
    assert float(paths(early, "decision")[0][1:].split()[0]) == float(paths(early, "line")[0][1:].split()[0])


def test_ticks_are_round_and_few() -> None:
    assert round_numbers(0.0, 15.0) == [0.0, 5.0, 10.0, 15.0]
    assert round_numbers(-1.0, 1.0) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    for high in (1.0, 1.3, 2.4, 3.7, 5.5, 9.99):
        assert 2 <= len(round_numbers(0.0, high)) <= 6


def test_hostile_text_is_text_and_secrets_are_hidden(secret: str) -> None:
    drawn = chart(Series(HOSTILE, f"{HOSTILE} {secret}", HOSTILE, series(1.0, None).points, limit=2.0))
    assert {one.tag.removeprefix(NAME) for one in read(drawn).iter()} <= TAGS
    assert not [name for one in read(drawn).iter() for name in one.attrib if name.startswith("on") or "href" in name]
    assert secret not in drawn
    assert "[redacted]" in drawn


def test_it_needs_nothing_from_elsewhere() -> None:
    drawn = chart(replace(series(1.0, None, 2.0), limit=1.5))
    assert drawn.count("url(") == drawn.count("url(#chart-") == 1
    assert drawn.count("http") == drawn.count("http://www.w3.org/2000/svg") == 1


@pytest.mark.parametrize(
    ("verdict", "opened"), [(Verdict.PASS, False), (Verdict.FAIL, True), (Verdict.INCONCLUSIVE, True)]
)
def test_the_report_shows_it_open_where_the_verdict_is_not_good(
    record: RunRecord, verdict: Verdict, opened: bool
) -> None:
    cells = row(record, series(1.0, 2.0), verdict)
    assert chart(series(1.0, 2.0)) in cells
    assert ('<details class="chart-of" open>' in cells) is opened


def test_a_series_that_cannot_be_drawn_costs_the_report_nothing_else(record: RunRecord) -> None:
    cells = row(record, series(nan), Verdict.FAIL)
    assert "no chart: a value of p95_latency is no finite number" in cells
    assert "812.5 ms" in cells


def row(record: RunRecord, watched: Series, verdict: Verdict) -> str:
    result = record.criteria[0]
    measurement = replace(result.measurements[0], series=watched)
    cells = ['<td class="col-result">Passed</td>']
    report = pytest.TestReport("x", ("", 0, ""), {}, "passed", None, "call")
    table_row(report, replace(result, verdict=verdict, measurements=(measurement,)), cells)
    return "".join(cells)
