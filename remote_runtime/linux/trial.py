"""Raise a container's walls around nothing: `python -m remote_runtime.linux.trial --walls DESCRIPTOR`, behind `enter`.

Exits with 0 where a container could be made here; else says why not in one line, with exit code 1.
"""

from __future__ import annotations

import os
import signal
import sys

from remote_runtime.linux.enter import read_all
from remote_runtime.linux.privileges import confine
from remote_runtime.linux.walls import Walls, raise_walls


def main() -> None:
    """Do as the supervisor does."""
    walls = Walls.from_json(read_all(int(sys.argv[2])))
    try:
        first = raise_walls(walls, (), {}, network=True)
        pid = os.fork()
        if pid == 0:
            _be_cell(walls)
        _, status = os.waitpid(pid, 0)
        os.kill(first, signal.SIGKILL)
    except OSError as error:
        sys.exit(str(error))
    sys.exit(f"a cell could not be confined (status {status})" if status else 0)


def _be_cell(walls: Walls) -> None:
    code = 1
    try:
        confine(walls.cell_uid)
        code = 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
