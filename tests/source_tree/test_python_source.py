"""Parsing Python while somebody else parses too."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from verification.source_tree.python_source import parse_python

SOURCE = "x = [1, 2, (3, 4), f(g(h(1)))]\n" * 300
INTERRUPTED = 200  # times; a tree of SOURCE is interrupted about 34 times


@contextmanager
def another_parser() -> Iterator[None]:
    """Something that parses in the midst of every other parse, as another thread may."""
    calls = 0

    def parse_another(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls <= INTERRUPTED:
            ast.parse("1")

    gc.callbacks.append(parse_another)
    try:
        yield
    finally:
        gc.callbacks.remove(parse_another)


def test_source_is_parsed_whatever_else_is_parsed_in_its_midst() -> None:
    with another_parser():
        tree = parse_python(SOURCE, "source.py")
    assert len(tree.body) == 300


def test_what_is_no_python_is_said_at_its_line() -> None:
    with pytest.raises(SyntaxError) as told:
        parse_python("x = 1\ny = = 2\n", "broken.py")
    assert (told.value.filename, told.value.lineno) == ("broken.py", 2)
