"""Named secrets: environment variables that go in, and come out in a container only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from kernel_bridge.errors import BadRequest, TooLarge
from remote_runtime.secrets.vault import Vault
from remote_runtime.store.named import SecretRows, check_name
from remote_runtime.store.rows import SecretRow

KEY_LIMIT_CHARS: Final = 16_384
VALUE_LIMIT_CHARS: Final = 32_768
KEYS_LIMIT: Final = 128
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Secrets:
    """Write-only to everyone but the control plane. No error and no log line repeats a value."""

    def __init__(self, rows: SecretRows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault

    def put(self, name: str, values: Mapping[str, str]) -> SecretRow:
        """Write a secret or replace it; raises BadRequest or TooLarge naming the key that does not fit."""
        check_name(name, "secret")
        if not values:
            raise BadRequest("A secret wants at least one KEY=VALUE.")
        if len(values) > KEYS_LIMIT:
            raise TooLarge(f"A secret may hold {KEYS_LIMIT} keys.")
        for key, value in values.items():
            _check(key, value)
        return self._rows.put(name, tuple(sorted(values)), self._vault.seal(name, values))

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
        return self._vault.open(name, self._rows.get(name).sealed)

    def environment(self, names: Iterable[str]) -> dict[str, str]:
        """Return the variables of several secrets; a later one overrides an earlier."""
        return {key: value for name in names for key, value in self.open(name).items()}


def _check(key: str, value: object) -> None:
    if len(key) > KEY_LIMIT_CHARS:
        raise TooLarge(f"A secret's key may have {KEY_LIMIT_CHARS} characters; {key[:40]!r}… has more.")
    if not _KEY.match(key):
        raise BadRequest(f"{key[:80]!r} cannot name an environment variable: write letters, digits and `_`.")
    if not isinstance(value, str) or "\0" in value:
        raise BadRequest(f"The value of {key[:80]!r} cannot be in an environment: it must be text without NUL.")
    if len(value) > VALUE_LIMIT_CHARS:
        raise TooLarge(f"A secret's value may have {VALUE_LIMIT_CHARS} characters; that of {key[:80]!r} has more.")
