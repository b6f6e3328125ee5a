"""Run a program that is not ours behind walls: `python -m remote_runtime.linux.cage FD -- PROGRAM [ARGUMENT...]`.

It runs behind `enter`, with our own interpreter. The descriptor is a pipe with the walls. The program is a user that
owns nothing, without capabilities, in a process namespace that ends with it: nothing it started stays. Its exit code
is ours.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final

from remote_runtime.linux.enter import read_all
from remote_runtime.linux.privileges import confine
from remote_runtime.linux.walls import Walls, raise_walls

HOME: Final = "/build"  # the folder that is the program's own, and where it starts
_PROCESSES: Final = 4096  # a compiler on a large machine starts hundreds


def main(arguments: Sequence[str]) -> None:
    """Do what the command line says; a host that forbids it is told in one line, with exit code 1."""
    walls = Walls.from_json(read_all(int(arguments[0])))
    try:
        first = raise_walls(walls, (), {}, network=True)
        pid = os.fork()
        if pid == 0:
            _be(walls.cell_uid, list(arguments[2:]))
        _, status = os.waitpid(pid, 0)
        os.kill(first, signal.SIGKILL)  # and with it all that is left
    except OSError as error:
        sys.exit(f"this host allows no sandbox: {error}")
    sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _be(uid: int | None, program: list[str]) -> None:
    try:
        os.chdir(HOME)
        os.umask(0o022)
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # 0 would start a host's program for cores: core(5)
        if uid is not None:  # a number that is nobody else's: the limit counts nothing but builds
            _limit_processes()
        confine(uid)
        os.environ.pop("PYTHONPATH", None)  # it named our packages
        os.execvp(program[0], program)  # noqa: S606 - the point of it
    except OSError as error:
        sys.stderr.write(f"{program[0]} did not start: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(127)


def _limit_processes() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = _PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
