"""What a token lets its holder do."""

from __future__ import annotations

from typing import Final

OWNER: Final = "owner"  # the scope that may do everything with what is its own, and the owner of a one-person runtime
READ: Final = "read"  # look at it, never run or change anything
RUN: Final = "run"  # cells, images and volumes; not tokens or secrets
ADMIN: Final = "admin"  # everything of everyone, and the runtime itself
SCOPES: Final = (READ, RUN, OWNER, ADMIN)  # of people's tokens; each may what those before it may
CONTAINER_SCOPE: Final = "container:"  # followed by the container's id
