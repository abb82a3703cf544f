"""Ctrl-C and SIGTERM during a run: what they mean for production is asked at a terminal, and else a setting.

The question is put inside the signal's handler: whoever answers "continue" has interrupted nothing, not even the wait
that was under way. It goes to the terminal itself, as pytest has taken standard input and output.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import NoReturn

_ANSWERED_WITHIN = 60.0
_TERMINAL = "/dev/tty"
_DISTURBING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Choice(StrEnum):
    """What becomes of production when the run is interrupted."""

    HOLD = "hold"
    ROLL_BACK = "rollback"
    CONTINUE = "continue"


_ANSWERS = {"r": Choice.ROLL_BACK, "k": Choice.HOLD, "c": Choice.CONTINUE}


class Interruptions:
    """The handlers of both signals, from `listen` to `close`. `choice` is what a person answered, if one was asked."""

    def __init__(self) -> None:
        self.choice: Choice | None = None
        self._question: Callable[[], str] = str
        self._before = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler),
            signal.SIGINT: signal.getsignal(signal.SIGINT),
        }

    @property
    def wants_rollback(self) -> bool | None:
        """Whether whoever interrupted the run wants a rollback; None when nobody was asked, or answered."""
        return None if self.choice is None else self.choice is Choice.ROLL_BACK

    def ask(self, question: Callable[[], str]) -> None:
        """From now on put `question` to whoever presses Ctrl-C; while it is empty, nobody is asked."""
        self._question = question
        if self._before[signal.SIGINT] is signal.default_int_handler:  # else somebody wants it otherwise
            signal.signal(signal.SIGINT, self._interrupted)

    def close(self) -> None:
        """Put everything back."""
        for number, handler in self._before.items():
            if handler is not None:
                signal.signal(number, handler)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C is no answer, but an end
        question = self._question()
        answer = asked(question) if question else None
        if answer is Choice.CONTINUE:
            signal.signal(signal.SIGINT, self._interrupted)
            return
        self.choice = answer
        _interrupt(number, frame)


def shut_out_signals() -> dict[signal.Signals, signal.Handlers | Callable[..., object] | int | None]:
    """Have Ctrl-C, a cancelled job and a closed terminal do nothing here; what they did before.

    By a handler that does nothing: an ignored signal would stay ignored in the programs that are started meanwhile.
    """
    return {number: signal.signal(number, _do_nothing) for number in _DISTURBING}


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C, a cancelled job or a closed terminal must not end a rollback half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = shut_out_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


def asked(question: str, within: float = _ANSWERED_WITHIN) -> Choice | None:
    """A person's answer; None without a terminal, without an answer in `within` seconds, and after Ctrl-D."""
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():  # in the background, where reading would stop the whole run
            return None
        return _answer(terminal, question, within)
    except OSError:
        return None
    finally:
        os.close(terminal)


def _answer(terminal: int, question: str, within: float) -> Choice | None:
    while True:
        if not _said(terminal, f"\n{question} [r]oll back, [k]eep, or [c]ontinue? ", within):
            return None
        if not select.select([terminal], [], [], within)[0]:
            _said(terminal, "no answer\n", 0)
            return None
        said = os.read(terminal, 1000).decode(errors="replace")
        if not said:
            return None
        found = _ANSWERS.get(said.strip().lower()[:1])
        if found is not None:
            return found


def _said(terminal: int, words: str, within: float) -> bool:
    """Whether a terminal took `words`: one that takes nothing (Ctrl-S) is not waited for any longer."""
    if not select.select([], [terminal], [], within)[1]:
        return False
    os.write(terminal, words.encode())
    return True


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.default_int_handler(number, frame)
    raise AssertionError("the default handler raises KeyboardInterrupt")
