"""Run a program as an ordinary user who can read this interpreter: `ordinary.py UID PATH... -- PROGRAM [ARGUMENT...]`.

As root, in a mount namespace of its own, every closed directory above a PATH is covered with an empty one that shows
nothing but the PATHs below it. Nothing of the host is changed, and it goes with the process.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from remote_runtime.linux import calls


def main(arguments: Sequence[str]) -> None:
    """Open the way to the paths, become the user, and be the program."""
    split = arguments.index("--")
    uid, paths, program = int(arguments[0]), arguments[1:split], list(arguments[split + 1 :])
    calls.unshare(calls.CLONE_NEWNS)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
    for closed in _closed_above(paths):
        _uncover(closed, [path for path in paths if Path(path).is_relative_to(closed)])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    calls.prctl(calls.PR_SET_DUMPABLE, 1)
    os.execvp(program[0], program)


def _closed_above(paths: Iterable[str]) -> list[Path]:
    """Return the uppermost directories that others may not pass through."""
    found: dict[Path, None] = {}
    for path in paths:
        above = [*reversed(Path(path).parents)]
        closed = next((one for one in above if not one.stat().st_mode & stat.S_IXOTH), None)
        if closed is not None:
            found[closed] = None
    return list(found)


def _uncover(closed: Path, paths: Sequence[str]) -> None:
    """Show only these paths below a directory."""
    trees = [(path, calls.open_tree(path)) for path in dict.fromkeys(paths)]
    calls.mount("none", str(closed), "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, "mode=755,size=1m")
    for path, tree in sorted(trees):
        Path(path).mkdir(parents=True, exist_ok=True)
        calls.attach_tree(tree, path)
        os.close(tree)


if __name__ == "__main__":
    main(sys.argv[1:])
