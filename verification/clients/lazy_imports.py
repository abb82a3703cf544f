"""Imports and clients of heavy libraries, put off until they are needed: then several threads need them at once."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_ONE_AT_A_TIME = threading.RLock()


class Lazy(Generic[T]):
    """A value that is made at first use, by whichever thread asks first."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = threading.Lock()

    @property
    def value(self) -> T:
        """The value. Raises what making it raises."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def close(self, end: Callable[[T], object]) -> None:
        """`end` it, if it was made."""
        for made in self._made:
            end(made)


def load(*modules: str) -> None:
    """Import `modules`, while nobody else imports here; afterwards a plain `import` of them costs nothing.

    Packages whose modules import each other in circles (requests, google.cloud) break when threads enter the circle
    at different places: Python ends the deadlock by an error, or hands out a module that is half made.
    """
    with _ONE_AT_A_TIME:
        for module in modules:
            importlib.import_module(module)
