"""What was built is found with its size and last use, and goes only when nobody wants it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from remote_runtime.images.shelf import Shelf, remove

OLD_S = 1_000.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def put(root: Path, name: str, size_bytes: int = 10) -> Path:
    made = root / name
    made.mkdir(parents=True)
    (made / "a.pyc").write_bytes(b"x" * size_bytes)
    os.utime(made, (OLD_S, OLD_S))
    return made


def test_the_stock_is_all_there_is(root: Path) -> None:
    """Environments, layers, files and bytecode by name; logs and records only of what is gone."""
    for name in ("env/e", "layers/l", "files/f", "bytecode/3.11/b", "tmp/half.1"):
        put(root, name)
    for name in ("logs/e.log", "logs/gone.log", "recipes/r.json", "tmp/constraints-1.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("text")
    found = {stored.name: (stored.size_bytes, stored.used_at_s) for stored in Shelf(root, frozenset).stock()}
    assert set(found) == {
        "env/e", "layers/l", "files/f", "bytecode/3.11/b", "tmp/half.1", "logs/gone.log", "recipes/r.json"
    }  # fmt: skip
    assert found["env/e"] == (10, OLD_S)


def test_use_is_remembered(root: Path) -> None:
    """Also by the next process; using what is not there is no error."""
    put(root, "env/e")
    Shelf(root, frozenset).use("env", "e")
    Shelf(root, frozenset).use("env", "none")
    [stored] = Shelf(root, frozenset).stock()
    assert stored.used_at_s > time.time() - 600


def test_what_is_taken_is_gone_at_once(root: Path) -> None:
    """It has another name before the first file goes; twice is nothing."""
    made, shelf = put(root, "env/e"), Shelf(root, frozenset)
    (root / "tmp").mkdir()
    doomed = shelf.take("env/e", OLD_S)
    assert doomed is not None and not made.exists()
    assert shelf.take("env/e", OLD_S) is None
    remove(doomed)
    assert shelf.stock() == []


def test_what_is_wanted_or_being_built_is_not_taken(root: Path) -> None:
    """Neither what was used after the decision, nor what is under way."""
    (root / "tmp").mkdir()
    put(root, "env/used")
    put(root, "env/built")
    shelf = Shelf(root, lambda: frozenset({"built"}))
    shelf.use("env", "used")
    assert [shelf.take(f"env/{name}", OLD_S) for name in ("used", "built")] == [None, None]


def test_bytecode_that_something_installed_shares_is_linked(root: Path) -> None:
    """To remove it would free nothing."""
    kept = put(root, "bytecode/3.11/b")
    os.link(kept / "a.pyc", root / "elsewhere.pyc")
    [stored] = Shelf(root, frozenset).stock()
    assert stored.linked
