"""A container's keeper: forks the agent, raises the walls, forks the kernel children behind them, records how all end.

It has one thread, no event loop and runs nothing of the user's. What it is told and what it reports are JSON lines on a
socket pair to the agent; a new child's descriptors go to the agent over the same pair. Agent and keeper are outside the
walls: what is inside sees neither.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent import agent, child, container_log
from remote_runtime.agent.enclosed_limits import EnclosedWatch
from remote_runtime.agent.kernel_host import HostedKernel, build_kernel
from remote_runtime.agent.limits import Watch, open_files
from remote_runtime.agent.walls import Enclosed, container_view, prepare_folders
from remote_runtime.linux import calls
from remote_runtime.linux.privileges import confine, die_with_parent, keep_capabilities
from remote_runtime.linux.walls import Walls, attach_trees, raise_walls

log = logging.getLogger("cellburst.supervisor")

_GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Handed:
    """What a container is given besides its configuration: descriptors of what it could not open itself."""

    token: int = -1  # a pipe with the container's token, which only the agent reads
    trees: tuple[tuple[str, int], ...] = ()  # mounts, detached, by the path they belong at
    cgroup_files: dict[str, int] | None = None  # None: to be opened here


class Supervisor:
    """One container's processes."""

    def __init__(
        self, config: ContainerConfig, kernel: HostedKernel, walls: Walls | Enclosed | None, exit_: ExitFile
    ) -> None:
        self._config = config
        self._kernel = kernel
        self._walls = walls
        self._exit = exit_
        self._directory = config.work_dir
        self._agent_pid = 0
        self._first_pid = 0  # of the processes behind the walls
        self._child_pid = 0
        self._agent: socket.socket
        self._private: tuple[Callable[[], None], ...] = (exit_.close,)  # what closes the descriptors of ours alone
        self._ending = ""
        self._joined = False  # its control groups
        self._saved: dict[str, Any] | None = None  # how the agent saved the state without a control plane

    def run(self, watch: Watch, token: int) -> None:
        """Start the agent, then serve it until it or somebody else ends the container."""
        self._watch = watch
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        os.set_blocking(wakeup_read, False)
        signal.set_wakeup_fd(wakeup_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        self._start_agent((wakeup_read, wakeup_write), token)
        self._private += (partial(os.close, wakeup_read), partial(os.close, wakeup_write))
        try:
            self._enclose()
            self._start_child(self._config.epoch)  # unasked: the agent may still be starting
        except OSError as error:
            self._ending = f"could not start: {error}"
        with selectors.DefaultSelector() as selector:
            self._private += (selector.close,)
            selector.register(self._agent, selectors.EVENT_READ)
            selector.register(wakeup_read, selectors.EVENT_READ)
            while not self._ending:
                for key, _ in selector.select():
                    if key.fileobj is self._agent:
                        self._hear_agent()
                    else:
                        _drain(wakeup_read)
                self._reap()
        self._end()

    def _enclose(self) -> None:
        """Raise the walls between this container's cells and everything else; raises OSError."""
        if isinstance(self._walls, Enclosed):  # its engine shows the working directory there, too
            self._directory = self._config.notebook_directory or self._config.work_dir
            return
        if self._walls is None:
            if not self._config.network:
                raise OSError("its network cannot be taken away without a sandbox; `cellburst runtime doctor` says why")
            if self._config.mounts:
                paths = ", ".join(mount.target for mount in self._config.mounts)
                raise OSError(
                    f"volumes cannot be shown at {paths} without a sandbox; `cellburst runtime doctor` says why"
                )
            return
        view = container_view(self._config, self._walls)
        self._first_pid = raise_walls(self._walls, view.binds, view.files, network=self._config.network)
        self._directory = view.directory

    def _terminated(self, _signal: int, _frame: object) -> None:
        self._ending = "stopped"

    def _start_agent(self, wakeup: tuple[int, int], token: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _become(ours, descriptors=wakeup)
            self._be_agent()
            finish(lambda: agent.main(_with_token(self._config, token), theirs, self._watch))
        theirs.close()
        if token >= 0:
            os.close(token)  # unread: what is forked from here must not have it
        self._agent, self._agent_pid = ours, pid

    def _hear_agent(self) -> None:
        data = self._agent.recv(1 << 16)
        if not data:
            self._ending = self._ending or "agent ended"
            return
        for line in data.splitlines():
            command = json.loads(line)
            match command["op"]:
                case "spawn":
                    self._start_child(command["epoch"])
                case "signal" if self._child_pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self._child_pid, command["number"])
                case "end":
                    self._ending = command["cause"]
                    self._saved = command.get("saved")

    def _start_child(self, epoch: str) -> None:
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        again = self._config.again or epoch != self._config.epoch
        config = replace(self._config, epoch=epoch, again=again)
        pid = os.fork()
        if pid == 0:
            self._agent.close()
            _become(ours, descriptors=[read for read, _ in pipes])
            self._close_private()
            finish(lambda: self._be_child(config, theirs, [write for _, write in pipes]))
        theirs.close()
        for _, write in pipes:
            os.close(write)
        self._child_pid = pid
        log.info("started a kernel child", extra={"fields": {"child": pid}})
        handed = [ours.fileno(), pipes[0][0], pipes[1][0]]
        socket.send_fds(self._agent, [_line({"event": "spawned", "pid": pid})], handed)
        ours.close()
        for read, _ in pipes:
            os.close(read)
        self._join_groups()

    def _join_groups(self) -> None:
        """Go where the agent is, with the first process: only now, for until the child runs somebody waits."""
        if self._joined:
            return
        self._joined = True
        try:
            self._watch.enter_agent(*filter(None, [self._first_pid]))
        except OSError as error:
            self._ending = f"could not start: {error}"

    def _close_private(self) -> None:
        """In a kernel child: leave nothing open that leads out, such as a directory of the host and all above it."""
        for close in self._private:
            with contextlib.suppress(OSError):
                close()

    def _be_agent(self) -> None:
        if self._walls is not None:
            keep_capabilities()
        if sys.platform == "linux":
            die_with_parent()

    def _be_child(self, config: ContainerConfig, link: socket.socket, writes: list[int]) -> None:
        """In a kernel child: take the limits on and every privilege away, then let the first byte of the user's run."""
        self._watch.enter_cell()
        if self._walls is not None:
            confine(self._walls.cell_uid)
        elif sys.platform == "linux":
            die_with_parent()
        _use_pipes(writes)
        child.main(config, self._kernel, link, self._directory)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._agent_pid:
                self._ending = self._ending or "agent ended"
            elif pid == self._first_pid:
                self._first_pid = 0
                self._ending = self._ending or "its first process ended"
            elif pid == self._child_pid:
                self._child_pid = 0
                cause = describe_end(status, self._watch)
                log.warning("the kernel child ended: %s", cause)
                self._watch.end_leftovers(self._agent_pid)
                with contextlib.suppress(OSError):
                    self._agent.send(_line({"event": "ended", "cause": cause}))

    def _end(self) -> None:
        """End everything this container started, and write down how and when it ended."""
        self._watch.freeze(on=False)  # the agent may be gone, and what stands still does not hear that it should end
        for number, wait_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
            self._signal_all(number)
            if _all_gone(wait_s):
                break
        log.info("container ends: %s", self._ending)
        if isinstance(self._walls, Enclosed) and self._walls.cell_uid is not None:
            calls.set_file_user(os.geteuid())  # cells cannot see, and so not forge, what is written now
        self._exit.write(self._ending, self._saved)

    def _signal_all(self, number: int) -> None:
        below = [self._child_pid, self._agent_pid] if isinstance(self._walls, Walls) else _descendants()
        # With the first process go all behind the walls. It is ours, so it gets no warning but the others' time.
        first = [self._first_pid] if number == signal.SIGKILL or not self._child_pid else []
        for pid in filter(None, [*below, *first]):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if pid == self._first_pid else number)


class ExitFile:
    """Where it is written how a container ended; open from the start, because its path will be out of sight."""

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if path else -1

    def close(self) -> None:
        """In a fork that has no business with it."""
        if self._folder >= 0:
            os.close(self._folder)

    def write(self, cause: str, saved: dict[str, Any] | None = None) -> None:
        """Write the cause, the time in epoch seconds, and what was saved without a control plane."""
        if self._folder < 0:
            return
        part = f"{self._name}.part"
        said = json.dumps({"cause": cause, "ended_at_s": time.time(), "saved": saved})
        written = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=self._folder)
        with os.fdopen(written, "w") as file:
            file.write(said)
        os.replace(part, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)


def run(
    config: ContainerConfig,
    kernel: HostedKernel,
    walls: Walls | Enclosed | None = None,
    handed: Handed = Handed(),
) -> None:
    """Be a container's supervisor until it ends; this process must have one thread."""
    watch = _watch(config, walls, handed)
    if sys.platform == "linux":
        calls.prctl(calls.PR_SET_CHILD_SUBREAPER, 1)
    if handed.trees:
        attach_trees(handed.trees)
    own = isinstance(walls, Enclosed)  # the folder of log and exit file
    if not own:
        _touch_files_as_cells_do(walls)
    exit_ = ExitFile(config.exit_file)
    try:
        _log_to(config.log_file)
        if own:
            _touch_files_as_cells_do(walls)
        prepare_folders(config)
    except OSError as error:
        exit_.write(f"could not start: {error}")
        return
    container_log.begin("supervisor", config)
    Supervisor(config, kernel, walls, exit_).run(watch, handed.token)


def _watch(config: ContainerConfig, walls: Walls | Enclosed | None, handed: Handed) -> Watch:
    if isinstance(walls, Enclosed):
        return EnclosedWatch(config)
    return Watch(config, open_files(config.cgroups) if handed.cgroup_files is None else handed.cgroup_files)


def _touch_files_as_cells_do(walls: Walls | Enclosed | None) -> None:
    """Have what is made from here on belong to the cells' user, whichever of us makes it; raises OSError."""
    if walls is not None and walls.cell_uid is not None:
        calls.set_file_user(walls.cell_uid)


def describe_end(status: int, watch: Watch) -> str:
    """Say in words how a process ended."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it exited with code {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    if name == "SIGKILL":
        return watch.describe_kill()
    crash = " (a crash in compiled code)" if name in ("SIGSEGV", "SIGBUS", "SIGABRT") else ""
    return f"it was ended by {name}{crash}"


def main() -> None:
    """Start a container without a zygote: `python -m remote_runtime.agent.supervisor`, its configuration on stdin."""
    run(from_wire(ContainerConfig, json.loads(sys.stdin.read())), build_kernel())


def _become(supervisors_end: socket.socket, *, descriptors: Any) -> None:
    """Turn a fork of the supervisor into somebody else: its own signals, none of the supervisor's descriptors."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    supervisors_end.close()
    for descriptor in descriptors:
        os.close(descriptor)


def _with_token(config: ContainerConfig, token: int) -> ContainerConfig:
    if token < 0:
        return config
    with os.fdopen(token, "r") as pipe:
        return replace(config, token=pipe.read())


def _use_pipes(writes: list[int]) -> None:
    for target, write in zip((1, 2), writes, strict=True):
        os.dup2(write, target)
        os.close(write)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def finish(work: Any) -> NoReturn:
    """Do the work and end this process without running the parent's clean-up."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # noqa: BLE001 - the border of a process: the log gets it
        sys.stderr = sys.__stderr__  # a cell's stream may have nobody left to write it out
        sys.__excepthook__(*sys.exc_info())
    finally:
        os._exit(code)


def _log_to(path: str) -> None:
    if path:
        log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _descendants() -> list[int]:
    """Return the processes below this one; orphans of the cell are among them, because we adopt them."""
    found, pending = [], [os.getpid()]
    while pending:
        for task in Path(f"/proc/{pending.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(pid) for pid in task.read_text().split()]
                found += children
                pending += children
    return found


def _all_gone(wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
        except ChildProcessError:
            return True
    return False


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 4096):
            pass


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


if __name__ == "__main__":
    main()
