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
_SERVE: Final = "`sudo -iu cellburst cellburst runtime serve --host 127.0.0.1`"
_EMBEDDED: Final = f"Cells can read your files; a user of its own keeps them out: {_SERVE}, then `%gpu_connect URL`."
_SERVED: Final = f"Cells share this runtime's user: for each person start one as a user of its own, {_SERVE}."


def mend(*, embedded: bool, read: Callable[[Path], str] = Path.read_text) -> str:
    """Say in one line how to keep cells from what they should not see, and how to get volumes at their paths."""
    line = _EMBEDDED if embedded else _SERVED
    setting = _closed_namespaces(read)
    return f"{line} Volumes need user namespaces here: `sudo sysctl -w {setting}`." if setting else line


def _closed_namespaces(read: Callable[[Path], str]) -> str:
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
