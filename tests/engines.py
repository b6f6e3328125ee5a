"""Real container engines for the tests: a dockerd or a podman service of their own, and one base image, made once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import platformdirs
import pytest

IMAGE: Final = "cellburst-test-base:3"
SUITES: Final = {"3.11": "bookworm", "3.13": "trixie"}  # the Debian release that has this Python
_PACKAGES: Final = "python3,ca-certificates"
_READY_S: Final = 60.0
_BRIDGE: Final = "docker0"


@dataclass
class Engine:
    """One engine: a process, its socket, and everything it stores, in a folder of its own."""

    name: str
    folder: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where its API answers."""
        return self.folder / f"{self.name}.sock"

    @property
    def url(self) -> str:
        """The same, as DOCKER_HOST has it."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and return when it answers."""
        with (self.folder / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            if self.socket.exists() and self.run("version").returncode == 0:
                return
            time.sleep(0.1)
        told = (self.folder / "engine.log").read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{told[-3000:]}")

    def kill(self) -> None:
        """Have it end without a word, as a crash does; what it runs is left to itself."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            # Its containerd dies with it. Where nobody reaps that, the next dockerd would wait for the dead one.
            (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it and what it started."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def run(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Ask it for something through Docker's command line, which speaks with both."""
        command = ["docker", "--host", self.url, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, stdin=stdin, timeout=120)

    def _command(self) -> list[str]:
        if self.name == "podman":
            service = ["system", "service", "--time", "0", self.url]
            return ["podman", *self.options, *service]
        return ["dockerd", "--host", self.url, *self.options]


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """Run an engine that knows the base image, for as long as it is wanted; skips with the reason where none can."""
    _skip_without(name)
    base = base_image()
    with tempfile.TemporaryDirectory(prefix="cbeng", ignore_cleanup_errors=True) as folder:  # short: sockets lie in it
        bridged = Path("/sys/class/net", _BRIDGE).exists()
        made = _start(name, Path(folder))
        try:
            loaded = subprocess.run(
                ["docker", "--host", made.url, "import", str(base), IMAGE], check=False, capture_output=True, text=True
            )
            assert loaded.returncode == 0, loaded.stderr
            yield made
        finally:
            _remove_all(made)
            made.stop()
            _unmount_below(Path(folder))
            if not bridged and name == "docker":
                subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)


def _start(name: str, folder: Path) -> Engine:
    """Start it with the fastest storage this machine allows."""
    for storage in ("overlay2", "vfs") if name == "docker" else ("overlay", "vfs"):
        made = Engine(name=name, folder=folder, options=_options(name, folder, storage))
        try:
            made.start()
        except RuntimeError:
            if storage == "vfs":
                raise
        else:
            return made
    raise AssertionError(name)


def _options(name: str, folder: Path, storage: str) -> list[str]:
    if name == "docker":
        places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        return [*places, "--storage-driver", storage, "--iptables=false", "--ip-masq=false", "--ip-forward=false"]
    config = folder / "containers.conf"
    # crun refuses hybrid control groups; without CAP_SYS_RESOURCE no limit may rise above the hard ones.
    config.write_text('[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n[containers]\ndefault_ulimits = []\n')
    os.environ["CONTAINERS_CONF"] = str(config)
    return ["--root", f"{folder}/data", "--runroot", f"{folder}/run", "--storage-driver", storage]


def base_image() -> Path:
    """Return a Debian with Python of this interpreter's minor version as an archive, made at the first call of all."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    if minor not in SUITES:
        pytest.skip(f"no Debian release has Python {minor}: the base image is made for {', '.join(SUITES)}")
    folder = platformdirs.user_cache_path("cellburst-tests")
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{SUITES[minor]}-{IMAGE.rpartition(':')[2]}.tar"
    with (folder / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            part = folder / f"part-{archive.name}"  # mmdebstrap goes by the suffix
            options = ["--variant=minbase", f"--include={_PACKAGES}", "--quiet"]
            done = subprocess.run(
                ["mmdebstrap", *options, SUITES[minor], str(part)], check=False, capture_output=True, text=True
            )
            if done.returncode:
                pytest.skip(f"mmdebstrap could not make the base image: {done.stderr.strip()[-300:]}")
            part.replace(archive)
    return archive


def _skip_without(name: str) -> None:
    needed = {"docker": ("docker", "dockerd", "mmdebstrap"), "podman": ("docker", "podman", "runc", "mmdebstrap")}
    lacking = [program for program in needed[name] if shutil.which(program) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: `make engines` as root")
    if os.geteuid() != 0:
        pytest.skip("only root can start a container engine")


def _remove_all(made: Engine) -> None:
    if made.process is None or made.process.poll() is not None:
        made.start()  # a test killed it: what it left has to go, too
    for container in made.run("ps", "--all", "--quiet").stdout.split():
        made.run("rm", "--force", "--volumes", container)


def _unmount_below(folder: Path) -> None:
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if Path(target := line.split()[1]).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", target], check=False)
