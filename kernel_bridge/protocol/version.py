"""The protocol's number and what a mismatch means."""

from __future__ import annotations

from typing import Final

# Raised whenever a client and a control plane of different releases could misunderstand each other.
PROTOCOL: Final = 2

# The number of the last migration of the control plane's store; data directories are keyed by it.
STORE_SCHEMA: Final = 4


def mismatch(theirs: int) -> str | None:
    """Return what to tell the user when the other side speaks another protocol, None when it does not."""
    if theirs == PROTOCOL:
        return None
    older = "this notebook's" if theirs > PROTOCOL else "the runtime's"
    return f"The runtime speaks protocol {theirs}, this client {PROTOCOL}: upgrade {older} cellburst."
