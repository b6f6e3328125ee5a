"""Where the master key lies: in a file of its own, in the environment, or in the operating system's keyring.

The text of a key is base64. While a key is being replaced the text holds two, the new one first: whatever ends the
runtime meanwhile, every secret still opens.
"""

from __future__ import annotations

import base64
import importlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from kernel_bridge.errors import BadOption, BadRequest
from remote_runtime.secrets.vault import KEY_BYTES
from remote_runtime.settings import Settings

SERVICE: Final = "cellburst"  # in the keyring, with the data directory as the user


class MasterKey(Protocol):
    """One place for the text of the master key."""

    def read(self) -> str:
        """Return the text, made on first use where that is possible; raises CellburstError saying what to do."""

    def write(self, text: str) -> None:
        """Replace the text; raises BadRequest where only the operator can."""


def master_key(settings: Settings) -> MasterKey:
    """Return the place that the operator chose; raises BadOption when the choice lacks something."""
    chosen = settings.master_key_source or ("env" if settings.master_key else "file")
    if chosen == "keyring":
        return KeyringKey(str(settings.data_dir))
    if chosen == "env":
        if not settings.master_key:
            raise BadOption("CELLBURST_MASTER_KEY_SOURCE is env: set CELLBURST_MASTER_KEY (`openssl rand -base64 32`).")
        return GivenKey(settings.master_key)
    return FileKey(settings.data_dir / "master.key")


def fresh_key() -> str:
    """Return the text of a new key."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


class FileKey:
    """A file of mode 0600 beside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Return what is in the file, made on first use; raises BadRequest when others than its owner may read it."""
        if not self._path.exists():
            self._make()
        if self._path.stat().st_mode & 0o077:
            raise BadRequest(f"Others can read the master key {self._path}: run `chmod 600` on it.")
        return self._path.read_text(encoding="ascii")

    def write(self, text: str) -> None:
        """Replace the file; it is never there in part."""
        self._written_beside(text).replace(self._path)
        _sync(self._path.parent)

    def _make(self) -> None:
        """Write a fresh key. It appears whole: of two processes that try at once, one wins."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._written_beside(fresh_key())
        with suppress(FileExistsError):
            os.link(temporary, self._path)
        temporary.unlink()

    def _written_beside(self, text: str) -> Path:
        temporary = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        return temporary


class GivenKey:
    """CELLBURST_MASTER_KEY: ours to use and not to change."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        """Return what was given."""
        return self._text

    def write(self, text: str) -> None:
        """Raise BadRequest: it tells the operator how to change it."""
        raise BadRequest(
            "The master key is in CELLBURST_MASTER_KEY, which only you can change: set it to NEW,OLD "
            "(`openssl rand -base64 32` makes one), restart the runtime, rekey again, then set it to NEW."
        )


class KeyringKey:
    """The keyring of the operating system, through the package `keyring`."""

    def __init__(self, account: str) -> None:
        self._account = account
        try:
            self._keyring: Any = importlib.import_module("keyring")
            self._failure: type[Exception] = importlib.import_module("keyring.errors").KeyringError
        except ModuleNotFoundError:
            raise BadOption(
                "CELLBURST_MASTER_KEY_SOURCE is keyring, but the package is not here: "
                "run `pip install cellburst[keyring]`, or choose file."
            ) from None

    def read(self) -> str:
        """Return what the keyring holds for this data directory, made on first use; raises BadOption."""
        found = self._ask(lambda: self._keyring.get_password(SERVICE, self._account))
        if found is None:
            self.write(fresh_key())
            found = self._ask(lambda: self._keyring.get_password(SERVICE, self._account))
        return str(found)

    def write(self, text: str) -> None:
        """Put it into the keyring; raises BadOption."""
        self._ask(lambda: self._keyring.set_password(SERVICE, self._account, text))

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._failure as error:  # locked, or there is none: its own words, never a value
            why = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
            raise BadOption(
                f"The keyring does not answer ({why}): unlock or install one, or set CELLBURST_MASTER_KEY_SOURCE=file."
            ) from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
