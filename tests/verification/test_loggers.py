"""pytest walks through all loggers while probes import modules that have some."""

from __future__ import annotations

import logging

from verification.logger_iteration import make_iteration_safe


def test_a_logger_that_comes_during_a_walk_breaks_nothing() -> None:
    make_iteration_safe()
    make_iteration_safe()
    for number, _ in enumerate(logging.root.manager.loggerDict.values()):
        logging.getLogger(f"tests.came.during.a.walk.{number}")
    assert "tests.came.during.a.walk.0" in logging.root.manager.loggerDict
