"""A limit in seconds on a call that has none of its own, such as the search for credentials."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float) -> T:
    """`call()`, but no longer than `seconds`: then TimeoutError, and the call is left behind in a daemon thread.

    Whatever else `call` raises is raised here. Nothing left behind keeps the process from ending.
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
