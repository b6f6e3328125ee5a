"""A real PostgreSQL for the tests: Debian's binaries, a cluster of its own in a temporary folder, and no port."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# A test's cluster need not survive a power cut, only the end of its processes.
_FAST = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=60"


@dataclass(frozen=True)
class Postgres:
    """One server that listens on a unix socket below `folder`."""

    folder: Path
    bin: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self) -> str:
        """Make a new, empty database and return its URL."""
        name = f"store_{next(self._numbers)}"
        self._run("createdb", "--host", str(self.folder), "--username", "postgres", name)
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start the server and return when it answers."""
        options = f"{_FAST} -c unix_socket_directories={self.folder}"
        self._ctl("start", "--log", str(self.folder / "server.log"), "--options", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is as good as a power cut to whoever is connected."""
        self._ctl("stop", "--mode", mode)

    def _ctl(self, verb: str, *options: str) -> None:
        self._run("pg_ctl", verb, "--wait", "--silent", "--pgdata", str(self.folder / "data"), *options)

    def _run(self, program: str, *arguments: str) -> None:
        run_as_nobody_special([str(self.bin / program), *arguments], self.folder)


@contextmanager
def cluster() -> Iterator[Postgres]:
    """Run a server for as long as it is wanted; skips where Debian's package is not installed."""
    bin_dir = find_binaries()
    if bin_dir is None:
        pytest.skip("PostgreSQL is not installed: `apt-get install postgresql`")
    with tempfile.TemporaryDirectory(prefix="cbpg") as name:  # a socket's path must be short
        folder = Path(name)
        if os.geteuid() == 0:  # the server refuses to be root
            shutil.chown(folder, "postgres")
        server = Postgres(folder, bin_dir)
        server._run("initdb", "--pgdata", f"{folder}/data", "--username", "postgres", "--auth", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def find_binaries() -> Path | None:
    """Return the folder of the newest server there is."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    usable = os.geteuid() != 0 or _has_user("postgres")
    return max(found, key=lambda path: int(path.parent.name), default=None) if usable else None


def run_as_nobody_special(command: list[str], folder: Path) -> None:
    """Run a command that refuses root: as Debian's user for it, when we are root."""
    become = ["runuser", "--user", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*become, *command]
    done = subprocess.run(command, check=False, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
