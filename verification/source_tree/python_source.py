"""Python source, parsed where several threads parse at the same time."""

from __future__ import annotations

import ast
import threading

_TRIES = 10
_one_at_a_time = threading.RLock()


def parse_python(source: str, file: str) -> ast.Module:
    """The syntax tree of `source`. Raises SyntaxError or ValueError when it is no Python.

    CPython keeps one count of the depth of the tree for all threads until 3.13: whoever parses while another thread
    does may get a SystemError ("AST constructor recursion depth mismatch") about sound source. Our own parsers take
    turns; the standard library parses too when it formats a traceback, so a SystemError is also tried again.
    """
    with _one_at_a_time:
        for _ in range(_TRIES - 1):
            try:
                return ast.parse(source, file)
            except SystemError:
                continue
        return ast.parse(source, file)
