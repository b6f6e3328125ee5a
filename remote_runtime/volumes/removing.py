"""Remove what lies in a volume: a link itself, never what it leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kernel_bridge.errors import Conflict
from remote_runtime.trash import throw_away
from remote_runtime.volumes.entries import look
from remote_runtime.volumes.paths import Walk


def remove(walk: Walk, name: str, bin_dir: Path, *, recursive: bool) -> None:
    """Remove a name of the directory reached, a full directory only if asked; raises NotFound or Conflict."""
    if not stat.S_ISDIR(look(walk, name).st_mode):
        os.unlink(name, dir_fd=walk.descriptor)
    elif recursive:
        throw_away(walk.descriptor, name, bin_dir)
    else:
        try:
            os.rmdir(name, dir_fd=walk.descriptor)
        except OSError:
            raise Conflict(f"{name!r} is not empty: remove it with `--recursive`.") from None
