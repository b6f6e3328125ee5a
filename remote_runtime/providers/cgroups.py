"""Control groups of containers: made before one starts, killed and removed after it ended.

    <base>/cellburst-<key>/            one a runtime; bounds the memory of all its cells together
        <container>/                   memory and cpu of one container
            agent/                     supervisor and agent
            cell/                      what the user runs; how many processes and threads that may be

The container's processes move themselves in (remote_runtime/agent/limits.py): nothing of the user's runs outside.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.providers import cgroup_layout
from remote_runtime.providers.cgroup_layout import Hierarchy

log = logging.getLogger(__name__)

PARTS: Final = ("agent", "cell")
_PERIOD_US: Final = 100_000
_LEAST_QUOTA_US: Final = 1_000  # the kernel takes no less
_ABANDONED_AFTER_S: Final = 600.0
_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use; zero is no limit."""

    memory_bytes: int = 0
    cpu: float = 0.0  # cores
    pids: int = 0  # processes and threads


class Cgroups:
    """The groups of one runtime's containers. Where the host has none, there are none and `controllers` is empty."""

    def __init__(self, hierarchies: Sequence[Hierarchy], key: str, memory_bytes: int = 0) -> None:
        self._hierarchies = tuple(hierarchies)
        self._name = f"cellburst-{key}"
        self._memory_bytes = memory_bytes  # of all cells together
        self.controllers = frozenset[str]().union(*(hierarchy.controllers for hierarchy in hierarchies))

    @classmethod
    def of_runtime(cls, data_dir: Path, memory_bytes: int = 0) -> Cgroups:
        """Return those of the runtime with this data directory, less what an earlier one left empty."""
        key = hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:12]
        made = cls(cgroup_layout.detect(), key, memory_bytes)
        made.reap()
        return made

    def create(self, container_id: str, limits: Limits) -> tuple[str, ...]:
        """Make a container's groups and return their directories; what the host cannot limit is logged."""
        made: list[Path] = []
        try:
            for hierarchy in self._hierarchies:
                group = hierarchy.base / self._name / container_id
                made.append(group)
                self._make(hierarchy, group, limits)
        except OSError as error:  # a host may show groups that cannot be used
            log.warning("no control groups for %s: %s", container_id, error)
            remove(map(str, made))
            return ()
        return tuple(map(str, made))

    def reap(self) -> None:
        """Remove groups without processes: ours at once, another runtime's when they lie abandoned."""
        for hierarchy in self._hierarchies:
            for parent in _glob(hierarchy.base, "cellburst-*"):
                for group in _glob(parent, "*/"):
                    if (parent.name == self._name or _abandoned(group)) and not any(_processes([group])):
                        _remove_tree(group)
                if parent.name == self._name or _abandoned(parent):
                    _rmdir(parent)

    def close(self) -> None:
        """Remove the runtime's own group where no container is left in it."""
        for hierarchy in self._hierarchies:
            _rmdir(hierarchy.base / self._name)

    def _make(self, hierarchy: Hierarchy, group: Path, limits: Limits) -> None:
        parent = group.parent
        for part in PARTS:
            (group / part).mkdir(parents=True, exist_ok=True)
        if hierarchy.unified:
            given_on = " ".join(f"+{controller}" for controller in sorted(hierarchy.controllers))
            for above in (hierarchy.base, parent, group) if given_on else ():
                _write(above / "cgroup.subtree_control", given_on)
        if "memory" in hierarchy.controllers:
            _limit_memory(parent, self._memory_bytes, unified=hierarchy.unified)
            _limit_memory(group, limits.memory_bytes, unified=hierarchy.unified)
        if "cpu" in hierarchy.controllers and limits.cpu:
            _limit_cpu(group, limits.cpu, unified=hierarchy.unified)
        if "pids" in hierarchy.controllers and limits.pids:
            _write(group / "cell" / "pids.max", str(limits.pids))


def end(groups: Iterable[str]) -> None:
    """Kill what is left in these groups and remove them; those that are gone are success."""
    there = [group for group in groups if Path(group).is_dir()]
    kill(there)
    remove(there)


def kill(groups: Iterable[str]) -> None:
    """Kill every process in these groups, those included that are being forked meanwhile."""
    directories = [Path(group) for group in groups]
    deadline_s = time.monotonic() + _WAIT_S
    for directory in directories:
        with contextlib.suppress(OSError):
            (directory / "cgroup.kill").write_text("1")
        with contextlib.suppress(OSError):
            (directory / "cell" / "pids.max").write_text("0")  # v1 has no one stroke: stop the forking first
    while (left := set(_processes(directories))) and time.monotonic() < deadline_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def remove(groups: Iterable[str]) -> None:
    """Remove these groups; the kernel may need a moment after the last process of one has gone."""
    for group in groups:
        deadline_s = time.monotonic() + _WAIT_S
        while not _remove_tree(Path(group)):
            if time.monotonic() > deadline_s:
                log.warning("the control group %s cannot be removed yet", group)
                break
            time.sleep(0.01)


def can_freeze(groups: Iterable[str]) -> bool:
    """Try with a process of our own whether what these groups' cells run can be stopped, and killed all the same."""
    cells = [cell for group in groups if (cell := Path(group, "cell")).joinpath("cgroup.freeze").exists()]
    if not cells:
        return False
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        try:
            for cell in cells:
                _write(cell / "cgroup.procs", str(process.pid))
                _write(cell / "cgroup.freeze", "1")
            return all(_happens(cell / "cgroup.events", "frozen 1") for cell in cells)
        except OSError:
            return False
        finally:
            process.kill()


def _happens(file: Path, line: str) -> bool:
    deadline_s = time.monotonic() + _WAIT_S
    while line not in file.read_text().splitlines():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.002)
    return True


def _limit_memory(group: Path, limit_bytes: int, *, unified: bool) -> None:
    """Set the limit and let nothing swap past it; a limit of another runtime's life is overwritten."""
    if not limit_bytes:
        return
    if unified:
        _write(group / "memory.max", str(limit_bytes))
        _try_write(group / "memory.swap.max", "0")
        return
    _try_write(group / "memory.memsw.limit_in_bytes", "-1")  # it may never be the smaller of the two
    _write(group / "memory.limit_in_bytes", str(limit_bytes))
    _try_write(group / "memory.memsw.limit_in_bytes", str(limit_bytes))
    _try_write(group / "memory.swappiness", "0")


def _limit_cpu(group: Path, cores: float, *, unified: bool) -> None:
    quota_us = max(_LEAST_QUOTA_US, round(cores * _PERIOD_US))
    if unified:
        _write(group / "cpu.max", f"{quota_us} {_PERIOD_US}")
        return
    _write(group / "cpu.cfs_period_us", str(_PERIOD_US))
    _write(group / "cpu.cfs_quota_us", str(quota_us))


def _processes(directories: Iterable[Path]) -> Iterator[int]:
    for directory in directories:
        for group in (directory, *_glob(directory, "**/*/")):
            with contextlib.suppress(OSError):
                yield from (int(pid) for pid in (group / "cgroup.procs").read_text().split() if pid != "0")


def _remove_tree(group: Path) -> bool:
    """Remove a group and those below it, deepest first; False while one is in use."""
    below = sorted(_glob(group, "**/*/"), key=lambda path: -len(path.parts))
    removed = [_rmdir(path) for path in (*below, group)]
    return all(removed)


def _rmdir(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _abandoned(group: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - group.stat().st_mtime > _ABANDONED_AFTER_S
    return False


def _glob(directory: Path, pattern: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in directory.glob(pattern) if path.is_dir()]
    return []


def _write(file: Path, text: str) -> None:
    file.write_text(text)


def _try_write(file: Path, text: str) -> None:
    """Where a host has no swap accounting, the file is not there: then nothing is to be limited."""
    with contextlib.suppress(OSError):
        file.write_text(text)
