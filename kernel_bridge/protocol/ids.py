"""Identifiers: prefixed, so that a log line says what it names."""

from __future__ import annotations

import secrets
from typing import Final, NewType

SessionId = NewType("SessionId", str)
ContainerId = NewType("ContainerId", str)
CellId = NewType("CellId", str)  # the msg_id of its execute_request
TokenId = NewType("TokenId", str)

PREFIXES: Final = {"session": "ses_", "container": "ctr_", "token": "tok_", "build": "bld_", "epoch": "ep_"}


def new_id(kind: str) -> str:
    """Make a fresh identifier of a kind in PREFIXES, 16 hexadecimal digits after the prefix."""
    return PREFIXES[kind] + secrets.token_hex(8)
