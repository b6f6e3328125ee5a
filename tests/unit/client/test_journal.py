"""The notebook's own log: where it goes, what the user's logging sees of it, and how it is read back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.client import journal
from kernel_bridge.client.journal import Journal, read
from kernel_bridge.config import ClientConfig

LOG = logging.getLogger("kernel_bridge.client.test")


@pytest.fixture
def config(tmp_path: Path) -> ClientConfig:
    return ClientConfig(config_dir=tmp_path, data_dir=tmp_path / "data", runtime_dir=tmp_path)


@pytest.fixture
def opened(config: ClientConfig) -> Iterator[Journal]:
    made = Journal(config)
    made.open()
    yield made
    made.close()


class Users(logging.Handler):
    """What a user put on the root logger."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def users() -> Iterator[Users]:
    handler = Users()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_lines_go_to_a_file_and_only_warnings_on(opened: Journal, users: Users) -> None:
    """The user's own logging is told what it would be told without this."""
    LOG.info("sent", extra={"session_id": "ses_1"})
    LOG.warning("odd", extra={"session_id": "ses_1"})
    LOG.info("other", extra={"session_id": "ses_2"})
    LOG.debug("detail", extra={"session_id": "ses_1"})
    assert [(line.message, line.process) for line in read(opened.folder, "ses_1")] == [
        ("sent", "notebook"),
        ("odd", "notebook"),
    ]
    assert users.said == ["odd"]
    [file] = opened.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_closing_leaves_the_loggers_as_they_were(config: ClientConfig) -> None:
    """Twice open and closed, too."""
    for _ in range(2):
        made = Journal(config)
        made.open()
        made.close()
    logger = logging.getLogger("kernel_bridge")
    assert (logger.propagate, logger.level) == (True, logging.NOTSET)
    assert not any(type(handler).__module__ == journal.__name__ for handler in logger.handlers)


def test_a_folder_that_cannot_be_had_costs_nothing(tmp_path: Path) -> None:
    """The notebook goes on without a log."""
    (tmp_path / "data").write_text("a file")
    made = Journal(ClientConfig(config_dir=tmp_path, data_dir=tmp_path / "data", runtime_dir=tmp_path))
    made.open()
    LOG.info("nowhere")
    made.close()
    assert read(made.folder, "ses_1") == []


def test_files_of_long_ago_are_removed(config: ClientConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no others."""
    folder = config.data_dir / "logs"
    folder.mkdir(parents=True)
    for name in ("notebook-1.jsonl", "runtime.jsonl"):
        (folder / name).touch()
    monkeypatch.setattr(journal, "KEPT_S", -1.0)
    made = Journal(config)
    made.open()
    made.close()
    assert not (folder / "notebook-1.jsonl").exists() and (folder / "runtime.jsonl").exists()
