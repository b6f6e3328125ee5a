"""The first process of a container: enters its view, forks the agent and the kernel children, records how they end.

It has one thread, no event loop and runs nothing of the user's. What it is told and what it reports are JSON lines on a
socket pair to the agent; a new child's descriptors go to the agent over the same pair.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent import agent, child
from remote_runtime.agent.kernel_host import HostedKernel, build_kernel
from remote_runtime.agent.mounts import enter_view

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_GRACE_S: Final = 2.0


class Supervisor:
    """One container's processes."""

    def __init__(self, config: ContainerConfig, kernel: HostedKernel, directory: str) -> None:
        self._config = config
        self._kernel = kernel
        self._directory = directory
        self._agent_pid = 0
        self._child_pid = 0
        self._agent: socket.socket
        self._ending = ""
        self._saved: dict[str, Any] | None = None  # how the agent saved the state without a control plane

    def run(self) -> None:
        """Start the agent, then serve it until it or somebody else ends the container."""
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        os.set_blocking(wakeup_read, False)
        self._start_agent((wakeup_read, wakeup_write))
        signal.set_wakeup_fd(wakeup_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        with selectors.DefaultSelector() as selector:
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

    def _terminated(self, _signal: int, _frame: object) -> None:
        self._ending = "stopped"

    def _start_agent(self, wakeup: tuple[int, int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _become(ours, descriptors=wakeup)
            finish(lambda: agent.main(self._config, theirs))
        theirs.close()
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
                    self._ending = "stopped"
                    self._saved = command.get("saved")

    def _start_child(self, epoch: str) -> None:
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        # The state that was saved belongs to the first child's namespace; another one starts empty.
        first = epoch == self._config.epoch
        config = replace(self._config, epoch=epoch, state_dir=self._config.state_dir if first else "")
        pid = os.fork()
        if pid == 0:
            self._agent.close()
            _become(ours, descriptors=[read for read, _ in pipes])
            _use_pipes([write for _, write in pipes])
            finish(lambda: child.main(config, self._kernel, theirs, self._directory))
        theirs.close()
        for _, write in pipes:
            os.close(write)
        self._child_pid = pid
        handed = [ours.fileno(), pipes[0][0], pipes[1][0]]
        socket.send_fds(self._agent, [_line({"event": "spawned", "pid": pid})], handed)
        ours.close()
        for read, _ in pipes:
            os.close(read)

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
            elif pid == self._child_pid:
                self._child_pid = 0
                with contextlib.suppress(OSError):
                    self._agent.send(_line({"event": "ended", "cause": describe_end(status)}))

    def _end(self) -> None:
        """End everything this container started, and write down how and when it ended."""
        for number, wait_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
            _signal_all(number)
            if _all_gone(wait_s):
                break
        record_end(self._config, self._ending, self._saved)


def run(config: ContainerConfig, kernel: HostedKernel) -> None:
    """Be a container's supervisor until it ends; this process must have one thread."""
    _log_to(config.log_file)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        directory = enter_view(config)
    except OSError as error:
        record_end(config, f"could not start: {error}")
        return
    Supervisor(config, kernel, directory).run()


def record_end(config: ContainerConfig, cause: str, saved: dict[str, Any] | None = None) -> None:
    """Write the exit file: the cause, the time in epoch seconds, and what was saved without a control plane."""
    if config.exit_file:
        target = Path(config.exit_file)
        temporary = target.with_name(target.name + ".part")
        temporary.write_text(json.dumps({"cause": cause, "ended_at_s": time.time(), "saved": saved}))
        temporary.replace(target)


def describe_end(status: int) -> str:
    """Say in words how a process ended."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it exited with code {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    if name == "SIGKILL":
        return "it was killed (SIGKILL): most often the host ran out of memory"
    crash = " (a crash in compiled code)" if name in ("SIGSEGV", "SIGBUS", "SIGABRT") else ""
    return f"it was ended by {name}{crash}"


def read_config(path: str) -> ContainerConfig:
    """Read what the provider wrote, once: it holds secrets, so the file goes."""
    config = from_wire(ContainerConfig, json.loads(Path(path).read_text()))
    Path(path).unlink()
    return config


def main() -> None:
    """Start a container without a zygote: `python -m remote_runtime.agent.supervisor --config PATH`."""
    config = read_config(sys.argv[sys.argv.index("--config") + 1])
    run(config, build_kernel())


def _become(supervisors_end: socket.socket, *, descriptors: Any) -> None:
    """Turn a fork of the supervisor into somebody else: its own signals, none of the supervisor's descriptors."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    supervisors_end.close()
    for descriptor in descriptors:
        os.close(descriptor)
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


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
        sys.__excepthook__(*sys.exc_info())
    finally:
        os._exit(code)


def _log_to(path: str) -> None:
    if path:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
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


def _signal_all(number: int) -> None:
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


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


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


if __name__ == "__main__":
    main()
