"""Encrypt secrets at rest: AES-256-GCM under a key that is never in the database."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel_bridge.errors import BadRequest, CellburstError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VERSION: Final = "v1:"


class Vault:
    """Seals the values of a secret. Its name is bound in: a sealed text moved to another name does not open.

    The first key seals, every key opens. `lock` is held by whoever writes what was sealed: with it held, the keys and
    what lies in the database change together.
    """

    def __init__(self, *keys: bytes) -> None:
        self.lock = threading.Lock()
        self._ciphers: tuple[AESGCM, ...] = ()
        self.use(*keys)

    @classmethod
    def from_text(cls, text: str) -> Vault:
        """Take the keys from a text; raises BadRequest, without repeating it, when it is none."""
        return cls(*read_keys(text))

    def use(self, *keys: bytes) -> None:
        """Have other keys from now on; raises BadRequest for one of the wrong length."""
        for key in keys or (b"",):
            if len(key) != KEY_BYTES:
                raise BadRequest(f"The master key wants {KEY_BYTES} bytes in base64, not {len(key)}.")
        self._ciphers = tuple(map(AESGCM, keys))

    def seal(self, name: str, values: Mapping[str, str]) -> str:
        """Return the values as text that only this key and name open."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, json.dumps(dict(values)).encode(), _bound(name))
        return VERSION + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, name: str, sealed: str) -> dict[str, str]:
        """Return the values; raises CellburstError when the key or the name is another."""
        with suppress(binascii.Error, ValueError):
            raw = base64.b64decode(sealed.removeprefix(VERSION), validate=True)
            for cipher in self._ciphers:
                with suppress(InvalidTag):
                    plain = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(name))
                    values: dict[str, str] = json.loads(plain)
                    return values
        raise CellburstError(
            f"The secret {name!r} does not open with this master key: "
            "bring the old key back, or write the secret anew with `cellburst secret create`."
        )


def read_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys of a text, separated by commas or white space; raises BadRequest without repeating it."""
    words = text.replace(",", " ").split()
    try:
        return tuple(base64.b64decode(_plain(word), validate=True) for word in words)
    except binascii.Error:
        raise BadRequest("The master key is not base64: make one with `openssl rand -base64 32`.") from None


def _plain(word: str) -> str:
    return word.replace("-", "+").replace("_", "/")


def _bound(name: str) -> bytes:
    return f"cellburst secret {name}".encode()
