"""What would make this host's containers less exposed: lines for a person to run, each true as it stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SYSTEM: Final = Path("/proc/sys")
# Where a kernel keeps unprivileged user namespaces shut, what is read there, and what opens them.
_LOCKS: Final = (
    ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),  # Debian
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),  # Ubuntu
    ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
)
_SERVE: Final = "`sudo cellburst runtime serve`"
_SEVERAL: Final = f"Behind the walls cells are this runtime's user; for several people run it as root: {_SERVE}."
_CHOSEN: Final = "Cells can read and change what this runtime's user can; CELLBURST_SANDBOX=on keeps them out."


def mend(word: str, refusal: str, *, embedded: bool, read: Callable[[Path], str] = Path.read_text) -> str:
    """Say in one line how to keep cells from what they should not see; empty where nothing is to be mended."""
    if word == "sandboxed" or (word == "confined" and embedded):
        return ""
    if word == "confined":
        return _SEVERAL
    if setting := namespace_setting(read):
        return f"Cells can read your files: `sudo sysctl -w {setting}` lets them be walled off."
    return f"Cells can read your files: this host allows no walls ({refusal})." if refusal else _CHOSEN


def namespace_setting(read: Callable[[Path], str] = Path.read_text) -> str:
    """Return the setting that opens user namespaces; empty where they are open, or not needed."""
    if sys.platform != "linux" or os.getuid() == 0:
        return ""
    for name, closed, setting in _LOCKS:
        try:
            found = read(_SYSTEM / name).strip()
        except OSError:
            continue
        if found == closed:
            return setting
    return ""
