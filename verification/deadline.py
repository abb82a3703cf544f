"""The clocks: the time of day, and limits by the monotonic one (a deadline, a loop that polls, a call that ends)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeVar

T = TypeVar("T")


def now() -> datetime:
    """The time of day: UTC, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """The moment by which something must be over, in seconds of the monotonic clock; the earlier one is the lesser."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds until then; never less than 0."""
        return max(self.at - time.monotonic(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self.at

    def leaves(self, seconds: float) -> bool:
        """Whether so many seconds still fit in before it."""
        return time.monotonic() + seconds <= self.at


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """How long something has taken so far, by the monotonic clock."""

    began: float

    @classmethod
    def start(cls) -> Self:
        """One that runs from now."""
        return cls(time.monotonic())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    @property
    def milliseconds(self) -> float:
        """The same in ms, to a tenth."""
        return round(self.seconds * 1000, 1)


def poll(
    until: Callable[[], T],
    deadline: Deadline,
    every: float,
    *,
    longest: float = 0.0,
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """The first true answer of `until()`; its last one when no other pause fits in before the deadline.

    The pauses of `every` seconds grow by half each up to `longest`, if that is more. A `pause` that returns something
    true, as `Event.wait` does, ends the loop.
    """
    while True:
        answer = until()
        if answer or not deadline.leaves(every) or pause(every):
            return answer
        every = max(min(every * 1.5, longest), every)


def bounded(call: Callable[[], T], seconds: float) -> T:
    """`call()`, but no longer than `seconds`: then TimeoutError, and the call is left behind in a daemon thread.

    For a call that takes no limit, such as the search for credentials. Whatever else `call` raises is raised here.
    """
    answers: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, name="bounded call", daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if problems:
        raise problems[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]
