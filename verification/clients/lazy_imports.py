"""Imports of heavy libraries, which are put off until they are needed: then several threads need them at once."""

from __future__ import annotations

import importlib
import threading

_ONE_AT_A_TIME = threading.RLock()


def load(*modules: str) -> None:
    """Import `modules`, while nobody else imports here; afterwards a plain `import` of them costs nothing.

    Packages whose modules import each other in circles (requests, google.cloud) break when threads enter the circle
    at different places: Python ends the deadlock by an error, or hands out a module that is half made.
    """
    with _ONE_AT_A_TIME:
        for module in modules:
            importlib.import_module(module)
