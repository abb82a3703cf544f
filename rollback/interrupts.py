"""Ctrl-C and SIGTERM during a run: what they mean for production is asked at a terminal, and else a setting.

The question is put inside the signal's handler: whoever answers "continue" has interrupted nothing, not even the wait
that was under way. It goes to the terminal itself, as pytest has taken standard input and output.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from enum import StrEnum
from types import FrameType
from typing import NoReturn

_ANSWERED_WITHIN = 60.0
_TERMINAL = "/dev/tty"


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
        os.write(terminal, f"\n{question} [r]oll back, [k]eep, or [c]ontinue? ".encode())
        if not select.select([terminal], [], [], within)[0]:
            os.write(terminal, b"no answer\n")
            return None
        said = os.read(terminal, 1000).decode(errors="replace")
        if not said:
            return None
        found = _ANSWERS.get(said.strip().lower()[:1])
        if found is not None:
            return found


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.default_int_handler(number, frame)
    raise AssertionError("the default handler raises KeyboardInterrupt")
