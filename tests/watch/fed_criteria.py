"""Criteria of a watch that are fed with samples by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from verification.judge.judgement import Judgement
from verification.watch.criteria.repeated_checks import HEALTH
from verification.watch.criteria.sample_judge import SampleJudge
from verification.watch.samples import Sample

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fed(criterion: SampleJudge, samples: Iterable[Sample]) -> Judgement:
    for sample in samples:
        criterion.add_sample(sample)
    return criterion.judge(at_end=True)


def answers(pattern: str, stream: str = HEALTH, every: float = 5, start: float = 0) -> list[Sample]:
    """`+` a good answer, `-` a bad one, `?` none."""
    values = {"+": 1.0, "-": 0.0, "?": None}
    return [
        Sample(stream, at(start + every * n), values[one], text="status is 503", missing=one == "?")
        for n, one in enumerate(pattern)
    ]
