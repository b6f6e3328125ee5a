"""The control plane's log holds no secret that passed through it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from remote_runtime import logs
from remote_runtime.clock import SystemClock
from remote_runtime.secrets.known import KnownValues
from remote_runtime.secrets.master_key import GivenKey, fresh_key
from remote_runtime.secrets.service import Secrets
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url

TOKEN = "cb_" + "Ab3-_" * 8 + "xyz"


def test_values_and_tokens_are_struck() -> None:
    """A value that was replaced is still one."""
    known = KnownValues()
    known.learn({"KEY": "the-first-value"})
    known.learn({"KEY": "the-second-value"})
    assert known.strike(f"the-first-value the-second-value {TOKEN}") == "***KEY*** ***KEY*** cb_***"


def test_no_record_holds_what_passed_through(tmp_path: Path) -> None:
    """Neither its text, its arguments, its fields nor its traceback: in the file, whatever wrote it."""
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    settings = Settings(data_dir=tmp_path, runtime_dir=tmp_path, embedded=True)
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    try:
        logs.set_up(settings)
        key = fresh_key()
        secrets = Secrets(store.secrets, GivenKey(key))
        secrets.put("hf", {"HF_TOKEN": "a-value-that-passed"})
        try:
            raise ValueError(f"bad a-value-that-passed {key}")
        except ValueError:
            logging.getLogger("any").exception("with %s", {"t": "a-value-that-passed"}, extra={"fields": {"f": TOKEN}})
        text = logs.log_file(tmp_path).read_text()
    finally:
        for handler in set(logging.getLogger().handlers) - set(before):
            handler.close()
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
        store.close()
    line = json.loads(text.splitlines()[-1])
    assert line["message"] == "with {'t': '***HF_TOKEN***'}"
    assert line["exception"].endswith("ValueError: bad ***HF_TOKEN*** ***CELLBURST_MASTER_KEY***")
    assert "a-value-that-passed" not in text and key not in text and TOKEN not in text
