"""Encrypt secrets at rest: AES-256-GCM under a key that is never in the database."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel_bridge.errors import BadRequest, CellburstError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VERSION: Final = "v1:"


class Vault:
    """Seals the values of a secret. Its name is bound in: a sealed text moved to another name does not open."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadRequest(f"The master key wants {KEY_BYTES} bytes in base64, not {len(key)}.")
        self._cipher = AESGCM(key)

    @classmethod
    def from_text(cls, text: str) -> Vault:
        """Take the key from CELLBURST_MASTER_KEY; raises BadRequest, without repeating it, when it is none."""
        try:
            return cls(base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True))
        except binascii.Error:
            raise BadRequest("The master key is not base64: make one with `openssl rand -base64 32`.") from None

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """Take the key from a file, made on first use; raises BadRequest when others than its owner may read it."""
        _make_key(path)
        if path.stat().st_mode & 0o077:
            raise BadRequest(f"Others can read the master key {path}: run `chmod 600` on it.")
        return cls.from_text(path.read_text(encoding="ascii"))

    def seal(self, name: str, values: Mapping[str, str]) -> str:
        """Return the values as text that only this key and name open."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, json.dumps(dict(values)).encode(), _bound(name))
        return VERSION + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, name: str, sealed: str) -> dict[str, str]:
        """Return the values; raises CellburstError when the key or the name is another."""
        try:
            raw = base64.b64decode(sealed.removeprefix(VERSION), validate=True)
            plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(name))
        except (InvalidTag, binascii.Error, ValueError):
            raise CellburstError(
                f"The secret {name!r} does not open with this master key: "
                "bring the old key back, or write the secret anew with `cellburst secret create`."
            ) from None
        values: dict[str, str] = json.loads(plain)
        return values


def _bound(name: str) -> bytes:
    return f"cellburst secret {name}".encode()


def _make_key(path: Path) -> None:
    """Write a fresh key unless there is one. It appears whole: of two processes that try at once, one wins."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
        file.flush()
        os.fsync(descriptor)
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
