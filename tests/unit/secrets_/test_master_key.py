"""The master key: where it lies, and how it is replaced while everything stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from keyrings.alt.file import PlaintextKeyring

from kernel_bridge.errors import BadOption, BadRequest, CellburstError
from remote_runtime.clock import SystemClock
from remote_runtime.secrets.master_key import (
    SERVICE,
    FileKey,
    GivenKey,
    KeyringKey,
    MasterKey,
    fresh_key,
    master_key,
)
from remote_runtime.secrets.service import Secrets
from remote_runtime.secrets.vault import Vault
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[PlaintextKeyring]:
    """A real keyring, in a file of its own."""
    before, mine = keyring.get_keyring(), PlaintextKeyring()
    mine.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture(params=["file", "keyring"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> MasterKey:
    """Each place that we may write to."""
    if request.param == "file":
        return FileKey(tmp_path / "keys" / "master.key")
    request.getfixturevalue("ring")
    return KeyringKey("here")


def test_a_key_is_made_once(key: MasterKey) -> None:
    """A second start reads the first's key, and what was sealed with it opens."""
    sealed = Vault.from_text(key.read()).seal("a", {"K": "v"})
    assert Vault.from_text(key.read()).open("a", sealed) == {"K": "v"}


def test_a_key_can_be_replaced(key: MasterKey) -> None:
    """What was written is read."""
    key.read()
    key.write("another")
    assert key.read() == "another"


def test_the_key_file_is_private(tmp_path: Path) -> None:
    """Of mode 0600, alone in its folder, also when it was replaced."""
    key = FileKey(tmp_path / "keys" / "master.key")
    key.read()
    key.write(fresh_key())
    [file] = (tmp_path / "keys").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message says what to run."""
    path = tmp_path / "master.key"
    FileKey(path).read()
    path.chmod(0o644)
    with pytest.raises(BadRequest, match="chmod 600"):
        FileKey(path).read()


def test_every_data_directory_has_a_key_of_its_own(ring: PlaintextKeyring) -> None:
    """Two runtimes of one user share the keyring, not the key."""
    assert KeyringKey("one").read() != KeyringKey("two").read()
    assert ring.get_password(SERVICE, "one") == KeyringKey("one").read()


def test_a_keyring_that_does_not_answer_is_said(ring: PlaintextKeyring) -> None:
    """With the way out."""
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
    with pytest.raises(BadOption, match="CELLBURST_MASTER_KEY_SOURCE=file"):
        KeyringKey("here").read()


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ({}, FileKey),
        ({"CELLBURST_MASTER_KEY": "x"}, GivenKey),
        ({"CELLBURST_MASTER_KEY": "x", "CELLBURST_MASTER_KEY_SOURCE": "file"}, FileKey),
        ({"CELLBURST_MASTER_KEY_SOURCE": "env", "CELLBURST_MASTER_KEY": "x"}, GivenKey),
        ({"CELLBURST_MASTER_KEY_SOURCE": "Keyring"}, KeyringKey),
    ],
)
def test_the_operator_chooses(env: dict[str, str], kind: type) -> None:
    """By one variable; a key in the environment alone is a choice, too."""
    assert type(master_key(Settings.from_env(env))) is kind


@pytest.mark.parametrize("source", ["env", "vault"])
def test_a_choice_that_cannot_be_is_refused(source: str) -> None:
    """The message names the variable to set."""
    with pytest.raises(BadOption, match="CELLBURST_MASTER_KEY"):
        master_key(Settings.from_env({"CELLBURST_MASTER_KEY_SOURCE": source}))


def test_the_key_is_not_handed_on() -> None:
    """Not to containers, not to what builds their environments, and nobody who prints the settings sees it."""
    settings = Settings.from_env({"CELLBURST_MASTER_KEY": "very-secret-key", "PATH": "/bin"})
    assert "very-secret-key" not in {*settings.container_env.values(), *settings.own_env.values()}
    assert "very-secret-key" not in repr(settings)


def test_a_new_key_seals_everybodys_secrets(store: Store, key: MasterKey) -> None:
    """All open with the new key alone, in this runtime and in the next."""
    secrets = Secrets(store.secrets, key)
    secrets.put("a", {"K": "one"})
    secrets.of("else").put("a", {"K": "two"})
    old = key.read()
    assert secrets.rekey() == 2
    assert old not in key.read()
    for now in (secrets, Secrets(store.secrets, key)):
        assert (now.open("a"), now.of("else").open("a")) == ({"K": "one"}, {"K": "two"})
    with pytest.raises(CellburstError, match="does not open"):
        Secrets(store.secrets, GivenKey(old)).open("a")


def test_a_change_that_was_cut_short_goes_on(store: Store, key: MasterKey) -> None:
    """With both keys there everything opens; asked again, the second of them becomes worthless."""
    secrets = Secrets(store.secrets, key)
    secrets.put("a", {"K": "one"})
    new = fresh_key()
    key.write(f"{new},{key.read()}")  # and then the power went
    again = Secrets(store.secrets, key)
    assert again.open("a") == {"K": "one"}
    assert again.rekey() == 1
    assert key.read() == new
    assert Secrets(store.secrets, key).open("a") == {"K": "one"}


def test_a_secret_that_does_not_open_stops_the_change(store: Store, key: MasterKey) -> None:
    """None is changed, and both keys stay."""
    secrets = Secrets(store.secrets, key)
    secrets.put("a", {"K": "one"})
    Secrets(store.secrets, GivenKey(fresh_key())).put("b", {"K": "lost"})
    with pytest.raises(CellburstError, match="'b' does not open"):
        secrets.rekey()
    assert Secrets(store.secrets, key).open("a") == {"K": "one"}


def test_a_given_key_is_the_operators_to_change(store: Store) -> None:
    """The message says how; with two keys given, the first becomes the one that counts."""
    old, new = fresh_key(), fresh_key()
    Secrets(store.secrets, GivenKey(old)).put("a", {"K": "one"})
    with pytest.raises(BadRequest, match="NEW,OLD"):
        Secrets(store.secrets, GivenKey(old)).rekey()
    Secrets(store.secrets, GivenKey(f"{new},{old}")).rekey()
    assert Secrets(store.secrets, GivenKey(new)).open("a") == {"K": "one"}
