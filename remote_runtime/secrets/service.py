"""Named secrets: environment variables that go in, and come out in a container only."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.scopes import OWNER
from remote_runtime.secrets.known import PASSED_THROUGH
from remote_runtime.secrets.master_key import MasterKey, fresh_key
from remote_runtime.secrets.vault import Vault, read_keys
from remote_runtime.store.named import SecretRows, check_name
from remote_runtime.store.rows import SecretRow

KEY_LIMIT_CHARS: Final = 16_384
VALUE_LIMIT_CHARS: Final = 32_768
KEYS_LIMIT: Final = 128
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Secrets:
    """One owner's secrets: write-only to everyone but the control plane. No error and no log line repeats a value."""

    def __init__(self, rows: SecretRows, key: MasterKey) -> None:
        self._rows = rows
        self._key = key
        text = key.read()
        for word in text.replace(",", " ").split():
            PASSED_THROUGH.learn({"CELLBURST_MASTER_KEY": word})
        self._vault = Vault.from_text(text)

    def of(self, owner: str) -> Secrets:
        """Return the secrets of another owner, who may use the same names."""
        other = copy.copy(self)
        other._rows = self._rows.of(owner)
        return other

    def put(self, name: str, values: Mapping[str, str]) -> SecretRow:
        """Write a secret or replace it; raises BadRequest or TooLarge naming the key that does not fit."""
        check_name(name, "secret")
        if not values:
            raise BadRequest("A secret wants at least one KEY=VALUE.")
        if len(values) > KEYS_LIMIT:
            raise TooLarge(f"A secret may hold {KEYS_LIMIT} keys.")
        for key, value in values.items():
            _check(key, value)
        PASSED_THROUGH.learn(values)
        with self._vault.lock:
            return self._rows.put(name, tuple(sorted(values)), self._vault.seal(self._bound(name), values))

    def list(self) -> tuple[SecretRow, ...]:
        """Return the secrets by name, sealed."""
        return self._rows.list()

    def delete(self, name: str) -> None:
        """Forget a secret; raises NotFound."""
        self._rows.delete(name)

    def require(self, names: Iterable[str]) -> None:
        """Raise NotFound for the first of these that is not there."""
        for name in names:
            self._rows.get(name)

    def open(self, name: str) -> dict[str, str]:
        """Return a secret's variables, for a container's environment and for striking them from its output."""
        values = self._vault.open(self._bound(name), self._rows.get(name).sealed)
        PASSED_THROUGH.learn(values)
        return values

    def environment(self, names: Iterable[str]) -> dict[str, str]:
        """Return the variables of several secrets; a later one overrides an earlier."""
        return {key: value for name in names for key, value in self.open(name).items()}

    def rekey(self) -> int:
        """Seal every owner's secrets with a new master key and forget the old one; return how many there are.

        At every moment the place of the key holds what opens all of them. Raises BadRequest where only the operator can
        change the key, and CellburstError, changing none, when one does not open.
        """
        with self._vault.lock:
            text = self._key.read()
            if len(read_keys(text)) < 2:  # else one was begun: go on with it
                text = f"{fresh_key()},{text.strip()}"
                self._key.write(text)
            keys = read_keys(text)
            self._vault.use(*keys)
            count = self._rows.reseal(self._resealed)
            with suppress(BadRequest):  # an operator's own key: the old one is theirs to remove
                self._key.write(text.replace(",", " ").split()[0])
            self._vault.use(keys[0])
        return count

    def _resealed(self, row: SecretRow) -> str:
        bound = _bound(row.owner, row.name)
        return self._vault.seal(bound, self._vault.open(bound, row.sealed))

    def _bound(self, name: str) -> str:
        return _bound(self._rows.owner, name)


def _bound(owner: str, name: str) -> str:
    """Name what a sealed text is bound to: moved to another owner's row it does not open."""
    return name if owner == OWNER else f"{owner}/{name}"


def _check(key: str, value: object) -> None:
    if len(key) > KEY_LIMIT_CHARS:
        raise TooLarge(f"A secret's key may have {KEY_LIMIT_CHARS} characters; {key[:40]!r}… has more.")
    if not _KEY.match(key):
        raise BadRequest(f"{key[:80]!r} cannot name an environment variable: write letters, digits and `_`.")
    if not isinstance(value, str) or "\0" in value:
        raise BadRequest(f"The value of {key[:80]!r} cannot be in an environment: it must be text without NUL.")
    if len(value) > VALUE_LIMIT_CHARS:
        raise TooLarge(f"A secret's value may have {VALUE_LIMIT_CHARS} characters; that of {key[:80]!r} has more.")
