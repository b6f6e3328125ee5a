"""Loggers say which of their handlers stay on their side."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.codecs.loggers import staying_lines


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger below another one, which are as they were afterwards."""
    made = logging.getLogger("above.below")
    made.propagate = True
    yield made
    for each in (made, logging.getLogger("above")):
        for handler in list(each.handlers):
            each.removeHandler(handler)
            handler.close()


def test_a_handler_that_stays_is_told_once(logger: logging.Logger, tmp_path: Path) -> None:
    """Those that write to files and to streams of the user's; not those for standard streams."""
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.addHandler(logging.FileHandler(tmp_path / "run.log"))
    logger.addHandler(logging.NullHandler())
    (line,) = staying_lines([("log", logger), ("other", [1])], in_container=True)
    assert line == "log: its FileHandler (run.log) stayed remote: what is logged here does not go through it"
    assert staying_lines([("log", logger)], in_container=True) == []


def test_a_handler_of_a_parent_is_told_by_the_parents_name(logger: logging.Logger) -> None:
    """What is logged goes through it, too, unless the logger keeps it to itself."""
    logging.getLogger("above").addHandler(logging.StreamHandler(io.StringIO()))
    logger.propagate = False
    assert staying_lines([("log", logger)], in_container=False) == []
    logger.propagate = True
    (line,) = staying_lines([("log", logger)], in_container=False)
    assert line == "the logger above: its StreamHandler stays here: what the cell logs does not go through it"
