"""The runtime of this machine: found when it runs, started when it does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

import kernel_bridge
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.locks import file_lock, is_locked
from kernel_bridge.client.replies import RuntimeInfo
from kernel_bridge.config import Address, ClientConfig
from kernel_bridge.errors import CellburstError, RuntimeMismatch, RuntimeUnreachable
from kernel_bridge.protocol.version import PROTOCOL, mismatch

START_S: Final = 30.0
STOP_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.02
_LOG_LIMIT_BYTES: Final = 8 << 20

Say = Callable[[str], None]


def ensure_runtime(config: ClientConfig, *, say: Say = lambda line: None) -> Address:
    """Return the address of the runtime to use: the one chosen by hand, else this machine's, started if need be.

    `say` gets a line when something about it is worth knowing. Raises RuntimeUnreachable or RuntimeMismatch.
    """
    if config.connected is not None:
        return config.connected
    check_can_embed()
    found = _probe(config)
    if found is not None and _fits(found):
        return config.embedded_address()
    config.runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(config.runtime_dir / "start.lock", timeout_s=START_S + STOP_S):
        found = _answering(config)  # another kernel may have started it while we waited
        if found is not None and not _replaced(config, found, say):
            return config.embedded_address()
        return _start(config)


def check_can_embed() -> None:
    """Raise RuntimeUnreachable where no runtime can run, saying what to do instead."""
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        raise RuntimeUnreachable(
            "Windows runs no containers of its own: connect to a GPU host with `%gpu_connect URL`, or use WSL."
        )


def running_runtime(config: ClientConfig) -> RuntimeInfo | None:
    """Return what this machine's own runtime says of itself, or None when none runs."""
    return _probe(config)


def wait_until_gone(config: ClientConfig) -> None:
    """Wait for this machine's runtime to have ended, its process too; raises RuntimeUnreachable when it does not."""
    deadline = time.monotonic() + STOP_S
    while is_locked(config.running_lock):
        _check_late(config, deadline)
        time.sleep(_LOOK_EVERY_S)


def release() -> str:
    """Return this installation's version."""
    try:
        return metadata.version("cellburst")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0"


def runtime_command(*arguments: str, module: str = "remote_runtime") -> list[str]:
    """Return the argv of a runtime. `-P`: a notebook's folder may hold a `logging.py`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def runtime_environment(config: ClientConfig) -> dict[str, str]:
    """Return the environment of a runtime: ours, with the directories we look in."""
    env = dict(config.environment)
    env["CELLBURST_DATA_DIR"] = str(config.data_dir)
    env["CELLBURST_RUNTIME_DIR"] = str(config.runtime_dir)
    home = Path(kernel_bridge.__file__).parents[1]
    if home.name not in {"site-packages", "dist-packages"}:  # a checkout on our path is not on that of `-P`
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(home), env.get("PYTHONPATH", "")]))
    return env


def _probe(config: ClientConfig) -> RuntimeInfo | None:
    address = config.embedded_address()
    if not address.token or (address.socket and not Path(address.socket).exists()):
        return None
    with ControlPlane(address) as plane, suppress(RuntimeUnreachable):
        return plane.runtime()
    return None


def _answering(config: ClientConfig) -> RuntimeInfo | None:
    """Return what the runtime says, waiting for one that is just coming or going; None when there is none."""
    deadline = time.monotonic() + STOP_S
    while (found := _probe(config)) is None and is_locked(config.running_lock):
        _check_late(config, deadline)
        time.sleep(_LOOK_EVERY_S)
    return found


def _check_late(config: ClientConfig, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeUnreachable(
            f"The runtime of {config.runtime_dir} neither answers nor ends: kill it; its log is {config.log_path}."
        )


def _fits(info: RuntimeInfo) -> bool:
    return info.protocol == PROTOCOL and info.version in ("", release())


def _replaced(config: ClientConfig, info: RuntimeInfo, say: Say) -> bool:
    """Stop a runtime of another release where nothing runs in it; False when it stays and will do."""
    if _fits(info):
        return False
    with ControlPlane(config.embedded_address()) as plane:
        if any(session.container_id for session in plane.sessions()):
            _tell_busy(info, say)
            return False
        plane.stop_runtime()
    wait_until_gone(config)
    return True


def _tell_busy(info: RuntimeInfo, say: Say) -> None:
    problem = mismatch(info.protocol)
    if problem:
        raise RuntimeMismatch(f"{problem} Containers run in it: `cellburst runtime stop` saves them and ends it.")
    say(f"The runtime here is cellburst {info.version} and busy, so it stays; this notebook has {release()}.")


def _start(config: ClientConfig) -> Address:
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    process = _spawn(config)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(CellburstError):  # the token's file may be a moment behind the socket
            info = _probe(config)
            if info is not None:
                _check_protocol(info)
                return config.embedded_address()
        if process.poll() == -signal.SIGKILL:  # somebody's doing, not its own: out of memory, or a fault on purpose
            process = _spawn(config)
        elif process.poll() is not None:
            raise RuntimeUnreachable(
                f"The runtime ended at once: {_last_line(config.log_path)} (its log: {config.log_path})"
            )
        time.sleep(_LOOK_EVERY_S)
    process.terminate()
    raise RuntimeUnreachable(f"The runtime did not answer within {START_S:.0f} s; its log is {config.log_path}.")


def _check_protocol(info: RuntimeInfo) -> None:
    problem = mismatch(info.protocol)
    if problem:
        raise RuntimeMismatch(problem)


def _spawn(config: ClientConfig) -> subprocess.Popen[bytes]:
    """Start a runtime that outlives us and holds none of our descriptors."""
    full = config.log_path.exists() and config.log_path.stat().st_size > _LOG_LIMIT_BYTES
    with config.log_path.open("wb" if full else "ab") as log:
        config.log_path.chmod(0o600)
        process = subprocess.Popen(
            runtime_command("serve", "--embedded"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=config.data_dir,
            env=runtime_environment(config),
            start_new_session=True,
        )
    # It outlives us, or we it: then somebody has to wait for it, or it stays a zombie.
    threading.Thread(target=process.wait, name="cellburst runtime", daemon=True).start()
    return process


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "it said nothing"
