"""Structured lines: what is in them, what never is, and how large their files become."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.logs import BoundedFile, JsonLines, TextLines, bound, bound_id, line_of, parse, text_of
from kernel_bridge.protocol.logs import LogLine

TOKEN = "cb_" + "x" * 43


class Lines(logging.Handler):
    """Keeps what a formatter makes of each record."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger nobody else hears."""
    logger = logging.getLogger("test.structured")
    logger.propagate, before = False, logger.propagate
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logger.propagate = before


def json_of(log: logging.Logger, say: Any) -> dict[str, Any]:
    """Return the one line that is written meanwhile."""
    lines = Lines(JsonLines("agent"))
    log.addHandler(lines)
    say()
    [line] = lines.said
    assert "\n" not in line
    return dict(json.loads(line))


def test_a_line_carries_the_ids_that_are_bound(log: logging.Logger) -> None:
    """An id the writer names goes before one of the context; what is not known is not there."""
    with bound(session_id="ses_1", cell_id="outer"):
        line = json_of(log, lambda: log.info("%s", "begun", extra={"cell_id": "c1", "fields": {"units": 2}}))
    assert (line["level"], line["process"], line["message"]) == ("info", "agent", "begun")
    assert (line["session_id"], line["cell_id"], line["fields"]) == ("ses_1", "c1", {"units": 2})
    assert "container_id" not in line
    assert bound_id("cell_id") == ""


def test_tasks_do_not_share_their_ids(log: logging.Logger) -> None:
    """What one binds the other does not see, although their steps alternate."""
    lines = Lines(JsonLines("agent"))
    log.addHandler(lines)

    async def say(cell: str) -> None:
        with bound(cell_id=cell):
            await asyncio.sleep(0)
            log.info(cell)
            await asyncio.sleep(0)
            log.info(cell)

    async def both() -> None:
        await asyncio.gather(say("a"), say("b"))

    asyncio.run(both())
    assert [(json.loads(line)["cell_id"], json.loads(line)["message"]) for line in lines.said] == [
        ("a", "a"), ("b", "b"), ("a", "a"), ("b", "b"),
    ]  # fmt: skip


def test_a_token_is_struck_wherever_it_stands(log: logging.Logger) -> None:
    """In the message, in a value, in a traceback."""

    def say() -> None:
        try:
            raise ValueError(f"bad {TOKEN}")
        except ValueError:
            log.exception("it was %s", TOKEN, extra={"fields": {"token": TOKEN}})

    line = json_of(log, say)
    assert TOKEN not in json.dumps(line)
    assert "ValueError: bad cb_***" in line["exception"]


def test_a_line_comes_back_as_it_was_and_reads_well(log: logging.Logger) -> None:
    """JSON is read into the same value; the text has time, level, process, message and values."""
    line = parse(json.dumps(json_of(log, lambda: log.warning("odd", extra={"fields": {"n": 1}}))), "other")
    assert parse(line_of(line), "other") == line
    assert text_of(line).endswith(" warning agent         odd n=1")
    words = Lines(TextLines("agent"))
    log.addHandler(words)
    log.info("two", extra={"cell_id": "c1"})
    assert words.said[-1].endswith("info    agent         two")


def test_what_is_no_line_of_ours_is_still_shown() -> None:
    """A traceback, a line cut short by a crash: a warning at the time of the line before."""
    assert parse("Segmentation fault", "container", 5.0) == LogLine(
        at_s=5.0, level="warning", process="container", message="Segmentation fault"
    )
    assert parse('{"at_s": 1, "mess', "agent", 5.0).message == '{"at_s": 1, "mess'
    assert parse('{"at_s": "soon"}', "agent", 5.0).level == "warning"


def test_a_file_stays_below_its_limit(tmp_path: Path, log: logging.Logger) -> None:
    """The newest lines stay, each of them whole, whoever else appends to the same file."""
    path = tmp_path / "agent.log"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    handler = BoundedFile(descriptor, 4000)
    handler.setFormatter(JsonLines("agent"))
    log.addHandler(handler)
    for number in range(500):
        log.info("line %d", number)
        assert path.stat().st_size <= 4000
    os.close(descriptor)
    numbers = [int(json.loads(line)["message"].split()[1]) for line in path.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 500))
    assert len(numbers) > 5


def test_a_disk_that_is_full_costs_a_line_only(log: logging.Logger) -> None:
    """Nobody whose work it was about hears of it."""
    full = os.open("/dev/full", os.O_RDWR)
    handler = BoundedFile(full, 4000)
    log.addHandler(handler)
    log.info("lost")
    os.close(full)
