"""A volume by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.sessions import VolumeMount

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def check_name(kind: str, name: str) -> str:
    """Return the name if a volume or a secret may have it; raises BadOption."""
    if not _NAME.match(name):
        raise BadOption(f"`{name}` cannot name a {kind}: letters, digits, `_`, `.` and `-`, 64 at most.")
    return name


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives containers. `%%gpu --volume NAME:/path` or `--volume VARIABLE:/path` mounts it."""

    name: str
    read_only: bool = False
    create_if_missing: bool = False

    @classmethod
    def from_name(cls, name: str, *, create_if_missing: bool = False) -> Volume:
        """Return the volume of this name; it is looked up (or made) when a cell first uses it. Raises BadOption."""
        return cls(check_name("volume", name), create_if_missing=create_if_missing)

    def mount(self, path: str) -> VolumeMount:
        """Return this volume at an absolute path of the container; raises BadOption for another kind of path."""
        if not path.startswith("/") or path.rstrip("/") == "" or ".." in path.split("/"):
            raise BadOption(f"`{path}` is no place for a volume: write an absolute path such as `/models`.")
        return VolumeMount(self.name, path.rstrip("/"), self.read_only)
