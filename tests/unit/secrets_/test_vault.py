"""The vault: sealed text opens with its key and name only."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.errors import BadRequest, CellburstError, NotFound, TooLarge
from remote_runtime.clock import SystemClock
from remote_runtime.secrets.master_key import GivenKey
from remote_runtime.secrets.service import KEY_LIMIT_CHARS, KEYS_LIMIT, VALUE_LIMIT_CHARS, Secrets
from remote_runtime.secrets.vault import Vault
from remote_runtime.store import Store, sqlite_url

VAULT = Vault(bytes(32))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_what_is_sealed_opens(values: dict[str, str]) -> None:
    """Any text comes back, and no two seals are alike."""
    sealed = VAULT.seal("hf", values)
    assert VAULT.open("hf", sealed) == values
    assert VAULT.seal("hf", values) != sealed


def test_another_name_key_or_text_does_not_open() -> None:
    """A row moved, changed or brought to another installation is refused, and the message gives nothing away."""
    sealed = VAULT.seal("hf", {"TOKEN": "very secret"})
    changed = sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB")
    for vault, name, text in [
        (VAULT, "other", sealed),
        (Vault(b"k" * 32), "hf", sealed),
        (VAULT, "hf", changed),
        (VAULT, "hf", "v1:"),
    ]:
        with pytest.raises(CellburstError, match="does not open") as caught:
            vault.open(name, text)
        assert "very secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_a_bad_key_is_refused_without_being_repeated(text: str) -> None:
    """A master key in the environment with a typing error does not land in a log."""
    with pytest.raises(BadRequest) as caught:
        Vault.from_text(text)
    assert not text or text not in str(caught.value)


def test_both_kinds_of_base64_are_taken() -> None:
    """`openssl rand -base64 32` and Python's URL-safe form are the same key."""
    key = bytes(range(224, 256))
    sealed = Vault(key).seal("a", {})
    for text in (base64.b64encode(key), base64.urlsafe_b64encode(key)):
        assert Vault.from_text(text.decode() + "\n").open("a", sealed) == {}


@pytest.fixture
def secrets(tmp_path: Path):  # type: ignore[no-untyped-def]
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    yield Secrets(store.secrets, GivenKey(base64.b64encode(bytes(32)).decode()))
    store.close()


def test_a_secret_is_an_environment(secrets: Secrets) -> None:
    """A later secret's variable overrides an earlier's."""
    secrets.put("a", {"X": "1", "Y": "1"})
    secrets.put("b", {"Y": "2"})
    assert secrets.environment(("a", "b")) == {"X": "1", "Y": "2"}
    assert [(row.name, row.keys) for row in secrets.list()] == [("a", ("X", "Y")), ("b", ("Y",))]
    with pytest.raises(NotFound, match="'c'"):
        secrets.require(("a", "c"))


def test_the_database_does_not_hold_the_value(secrets: Secrets, tmp_path: Path) -> None:
    """Not in the file, and not in what stands beside it."""
    secrets.put("a", {"X": "hunter2-hunter2"})
    assert all(b"hunter2" not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, BadRequest),
        ({"1X": "v"}, BadRequest),
        ({"X=Y": "v"}, BadRequest),
        ({"X\n": "v"}, BadRequest),
        ({"X": "hide\0me"}, BadRequest),
        ({"X" * (KEY_LIMIT_CHARS + 1): "v"}, TooLarge),
        ({"X": "hideme" * VALUE_LIMIT_CHARS}, TooLarge),
        ({f"X{n}": "v" for n in range(KEYS_LIMIT + 1)}, TooLarge),
    ],
)
def test_what_no_environment_can_hold_is_refused(secrets: Secrets, values: dict[str, str], kind: type) -> None:
    """And the value is not repeated."""
    with pytest.raises(kind) as caught:
        secrets.put("a", values)
    assert "hide" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 65, "a\n"])
def test_names_are_checked(secrets: Secrets, name: str) -> None:
    """What cannot name a secret is said with what can."""
    with pytest.raises(BadRequest, match="cannot name a secret"):
        secrets.put(name, {"X": "v"})
