"""What a container may use, seen from inside: its processes join their control groups and can tell when one was hit.

The supervisor keeps the files it needs open, because the sandbox hides their directory. Agent and supervisor are in a
group of their own, without the limit of processes: they can fork when cells cannot. A kernel child enters the group of
cells before anything of the user's runs. The kernel takes milliseconds for the first move of several, which the agent
spends while the walls are being raised.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.cgroup_files import FILES
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.resources import show_size, write_size

_NO_LIMIT: Final = 1 << 60  # v1 writes "none" as the largest number of pages
_OPEN_FILES: Final = 65536
FIRST_TO_GO: Final = 500  # of -1000 to 1000: when memory is out, a cell goes before the agent
_CLEAR_WITHIN_S: Final = 2.0


class Watch:
    """The open files of a container's control groups; without any, it knows nothing and says so by None."""

    def __init__(self, config: ContainerConfig, files: Mapping[str, int]) -> None:
        self._memory_bytes = config.memory_bytes
        self._pids = config.pids
        self._files = dict(files)
        self._killed = self._counted("oom_kill", "cell/memory.events", "cell/memory.oom_control")
        self._refused = self._counted("max", "cell/pids.events")

    @property
    def bounds_memory(self) -> bool:
        """Tell whether a control group keeps the limit, so that nobody else has to."""
        return self._killed is not None

    @property
    def can_freeze(self) -> bool:
        """Tell whether the cells' processes can be stopped and go on; it takes version 2 of control groups.

        There a stopped process can still be killed. Version 1 would keep it, and everything it holds, for ever.
        """
        return any(self._descriptors("cell/cgroup.freeze"))

    def freeze(self, *, on: bool) -> None:
        """Stop what the user runs, or let it go on; raises nothing, and does nothing where it cannot be done."""
        for descriptor in self._descriptors("cell/cgroup.freeze"):
            with contextlib.suppress(OSError):  # the group is gone, and all that was in it
                os.write(descriptor, b"1" if on else b"0")

    def cpu_s(self) -> float:
        """Return the processor time that cells have used until now, in seconds; 0 where nobody counts."""
        return (self._counted("usage_usec", "cell/cpu.stat") or 0) / 1e6

    def count_processes(self) -> int:
        """Return how many processes the user's code has now, the kernel child included."""
        return max((len(_read(descriptor).split()) for descriptor in self._descriptors("cell/cgroup.procs")), default=0)

    def enter_agent(self, *others: int) -> None:
        """Be part of what keeps a container, together with these processes; raises OSError."""
        for descriptor in self._descriptors("agent/cgroup.procs"):
            for pid in (0, *others):
                os.write(descriptor, str(pid).encode())

    def enter_cell(self) -> None:
        """Be a cell from here on: in the cells' groups, within its own limits, and first to go when memory is out."""
        for descriptor in self._descriptors("cell/cgroup.procs"):
            os.write(descriptor, b"0")
        counts_pids = any(self._descriptors("cell/pids.max"))
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
        limit_resources(0 if counts_pids else self._pids)

    def describe_oom(self) -> str | None:
        """Say that a cell was killed for memory since this was asked last, with limit and peak; None when none was."""
        killed = self._counted("oom_kill", "cell/memory.events", "cell/memory.oom_control")
        before, self._killed = self._killed, killed
        if killed is None or killed == before:
            return None
        own = self._number("memory.max", "memory.limit_in_bytes")
        peak = self._number("memory.peak", "memory.max_usage_in_bytes")
        self._forget_peak()
        used = f", peak {show_size(peak)}" if peak else ""
        if own:
            return f"it ran out of memory: limit {show_size(own)}{used}; {more_memory(own, host_memory_bytes())}"
        limit = self._number("../memory.max", "../memory.limit_in_bytes") or host_memory_bytes()
        return f"it ran out of memory: all cells of this runtime together may use {show_size(limit)}{used}"

    def describe_kill(self) -> str:
        """Say why a process that got SIGKILL got it, as far as can be known."""
        if said := self.describe_oom():
            return said
        if self._killed is None:
            return "it was killed (SIGKILL): most often the host ran out of memory"
        return "it was killed (SIGKILL) by another process; it was not out of memory"

    def describe_crowd(self) -> str | None:
        """Say that processes could not be started since this was asked last; None when all could."""
        refused = self._counted("max", "cell/pids.events")
        before, self._refused = self._refused, refused
        if refused is None or refused == before:
            return None
        return f"a process or thread could not be started: a session's cells may have {self._pids} of them"

    def end_leftovers(self, _spared: int = 0) -> None:
        """Kill what a kernel child that ended has left, even while it forks; the next child starts alone.

        Where cells have a group of their own nobody else is in it, and so nobody to be spared.
        """
        self.freeze(on=False)  # else the next child would stand still as soon as it enters
        gates = list(self._descriptors("cell/pids.max"))
        for gate in gates:
            os.write(gate, b"0")
        for killer in self._descriptors("cell/cgroup.kill"):
            os.write(killer, b"1")
        deadline_s = time.monotonic() + _CLEAR_WITHIN_S
        while (left := self._processes()) and time.monotonic() < deadline_s:
            for pid in left:
                _kill_or_reap(pid)
            time.sleep(0.005)
        for gate in gates:
            os.write(gate, str(self._pids or "max").encode())

    def _processes(self) -> set[int]:
        """Return the processes of the cells' groups; what another namespace has there shows as 0."""
        texts = [_read(descriptor) for descriptor in self._descriptors("cell/cgroup.procs")]
        return {int(word) for text in texts for word in text.split()} - {0}

    def _forget_peak(self) -> None:
        """Let the next peak be the next child's, where the kernel can do that."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            for descriptor in self._descriptors(name):
                with contextlib.suppress(OSError):
                    os.write(descriptor, b"0")

    def _counted(self, word: str, *names: str) -> int | None:
        for name in names:
            for descriptor in self._descriptors(name):
                lines = (line.split() for line in _read(descriptor).splitlines())
                for pair in lines:
                    if pair[0] == word and pair[1:]:
                        return int(pair[1])
        return None

    def _number(self, *names: str) -> int:
        for name in names:
            for descriptor in self._descriptors(name):
                text = _read(descriptor).strip()
                if text.isdigit() and int(text) < _NO_LIMIT:
                    return int(text)
        return 0

    def _descriptors(self, name: str) -> Iterator[int]:
        return (descriptor for key, descriptor in self._files.items() if key.partition(":")[2] == name)


def join(config: ContainerConfig, files: Mapping[str, int] | None = None) -> Watch:
    """Move this process into its container's groups and return what watches them; raises OSError.

    `files` are descriptors that who made the groups has opened, by `<number of the tree>:<name>`; None: open them here.
    """
    watch = Watch(config, open_files(config.cgroups) if files is None else files)
    watch.enter_agent()
    return watch


def open_files(groups: tuple[str, ...]) -> dict[str, int]:
    """Open what there is of a container's files; raises PermissionError."""
    opened = {}
    for number, group in enumerate(groups):
        for name, flags in FILES.items():
            with contextlib.suppress(FileNotFoundError):
                opened[f"{number}:{name}"] = os.open(Path(group, name), flags | os.O_CLOEXEC)
    return opened


def more_memory(limit_bytes: int, host_bytes: int) -> str:
    """Say what to ask for next: the power of two that is at least twice the limit, if the host has it."""
    wanted = 1 << (2 * limit_bytes - 1).bit_length()
    if host_bytes and wanted > host_bytes:
        return f"this host has {show_size(host_bytes)} in all"
    return f"ask for more with `--memory {write_size(wanted)}`"


def host_memory_bytes() -> int:
    """Return the memory of this machine in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def limit_resources(pids: int) -> None:
    """Set what the kernel bounds for one process; not its address space, of which CUDA reserves far too much."""
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # at 0, a host's program for cores would still be started: core(5)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))
    if pids and hasattr(resource, "RLIMIT_NPROC"):
        # It counts what this user has on the whole host, so it stands that much above what runs already.
        limit = _tasks_of(os.getuid()) + pids
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _tasks_of(uid: int) -> int:
    """Return how many processes and threads of a user can be seen."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += len(list((entry / "task").iterdir())) if entry.stat().st_uid == uid else 0
    return found


def _kill_or_reap(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _read(descriptor: int) -> str:
    try:
        return os.pread(descriptor, 1 << 16, 0).decode()
    except OSError:
        return ""
