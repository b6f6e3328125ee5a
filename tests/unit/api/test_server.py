"""The control plane as a process: its address, its files, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

READY_WITHIN_S = 20.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory whose sockets have short paths."""
    with tempfile.TemporaryDirectory(prefix="cb") as name:
        yield Path(name)


class Runtime:
    """A control plane in a process of its own."""

    def __init__(self, directory: Path, *arguments: str, **settings: str) -> None:
        self.directory = directory
        env = {
            **os.environ,
            "CELLBURST_DATA_DIR": str(directory / "data"),
            "CELLBURST_RUNTIME_DIR": str(directory / "run"),
            "CELLBURST_ARENA_DIR": str(directory / "arena"),
            "CELLBURST_LINGER_S": "600",
            **settings,
        }
        command = [sys.executable, "-m", "remote_runtime", "serve", *arguments]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def facts(self) -> dict[str, Any]:
        """Wait until it answers; return what it wrote down."""
        path = self.directory / "run" / "runtime.json"
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if path.exists():
                return dict(json.loads(path.read_text()))
            time.sleep(0.05)
        raise AssertionError(self.process.communicate(timeout=1))

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; return its status and what it said."""
        said, complained = self.process.communicate(timeout=READY_WITHIN_S)
        return self.process.returncode, said, complained


def test_it_tells_its_address_and_ends_on_a_signal(directory: Path) -> None:
    """Socket and token are for its owner only; a second one in the same place is refused; the end leaves no address."""
    with Runtime(directory, "--embedded") as runtime:
        facts = runtime.facts()
        socket_path, token = directory / "run" / "runtime.sock", directory / "run" / "token"
        assert (facts["address"], facts["pid"]) == (f"unix:{socket_path}", runtime.process.pid)
        assert [path.stat().st_mode & 0o777 for path in (socket_path, token)] == [0o600, 0o600]
        with Runtime(directory) as second:
            status, _, complaint = second.ended()
            assert (status, "runs in" in complaint) == (1, True)
        transport = httpx2.HTTPTransport(uds=str(socket_path), retries=20)
        with httpx2.Client(transport=transport, base_url="http://localhost") as http:
            said = http.get("/v1/runtime", headers={"Authorization": f"Bearer {token.read_text()}"}).json()
            assert (said["pid"], said["embedded"]) == (runtime.process.pid, True)
        runtime.process.send_signal(signal.SIGTERM)
        status, said_at_start, _ = runtime.ended()
        assert str(socket_path) in said_at_start
        assert not socket_path.exists()
        assert not (directory / "run" / "runtime.json").exists()


def test_it_listens_on_a_port(directory: Path) -> None:
    """Port 0 is any that is free, and the address says which."""
    with Runtime(directory, "--host", "127.0.0.1", "--port", "0") as runtime:
        address = runtime.facts()["address"]
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=20), base_url=address, trust_env=False) as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            assert http.get("/v1/runtime").status_code == 401


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_server_told_to_end_clears_up(directory: Path, signum: int) -> None:
    """Also one started by hand: no address is left, no memory, and no traceback is shown."""
    with Runtime(directory, "--host", "127.0.0.1", "--port", "0", CELLBURST_ARENA_DIR="") as runtime:
        runtime.facts()
        runtime.process.send_signal(signum)
        status, _, complaint = runtime.ended()
        assert (status, "Traceback" in complaint) == (0, False)
        assert not (directory / "run" / "runtime.json").exists()
        assert not (directory / "run" / "arena").is_mount()


def test_a_bad_setting_is_named(directory: Path) -> None:
    """One line, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "remote_runtime", "serve"],
        env={**os.environ, "CELLBURST_IDLE_AFTER_S": "soon", "CELLBURST_RUNTIME_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "CELLBURST_IDLE_AFTER_S is 'soon': it wants a number.\n")


def test_two_never_share_a_data_directory(directory: Path) -> None:
    """Another place for the socket does not make it another runtime: they would both adopt the same containers."""
    with Runtime(directory) as runtime:
        runtime.facts()
        with Runtime(directory, CELLBURST_RUNTIME_DIR=str(directory / "elsewhere")) as second:
            status, _, complaint = second.ended()
            assert (status, f"runs in {directory / 'data'} already" in complaint) == (1, True)


def test_what_it_keeps_is_for_its_owner_only(directory: Path) -> None:
    """Also in directories that were there, with the modes of the day; nobody else may look into what cells made."""
    for name in ("data", "run"):
        (directory / name).mkdir(mode=0o755)
    with Runtime(directory) as runtime:
        runtime.facts()
        assert [(directory / name).stat().st_mode & 0o777 for name in ("data", "run")] == [0o700, 0o700]


def test_a_chosen_arena_directory_keeps_what_else_is_there(directory: Path) -> None:
    """The runtime removes its own folder in it at its end, and nothing more."""
    (directory / "arena").mkdir()
    (directory / "arena" / "somebody's file").write_text("mine")
    with Runtime(directory, "--embedded") as runtime:
        runtime.facts()
        transport = httpx2.HTTPTransport(uds=str(directory / "run" / "runtime.sock"), retries=20)
        with httpx2.Client(transport=transport, base_url="http://localhost") as http:
            assert http.get("/healthz").status_code == 200  # it has begun, so a signal ends it in good order
        assert len(list((directory / "arena").iterdir())) == 2
        runtime.process.send_signal(signal.SIGTERM)
        runtime.ended()
    assert [path.name for path in (directory / "arena").iterdir()] == ["somebody's file"]


def test_a_revoked_token_of_this_machine_is_replaced(directory: Path) -> None:
    """Revoking it ends who copied it; the next start writes another into the file."""
    token_file = directory / "run" / "token"
    tokens = []
    for _ in range(2):
        with Runtime(directory, "--host", "127.0.0.1") as runtime:
            address, token = runtime.facts()["address"], token_file.read_text()
            tokens.append(token)
            transport = httpx2.HTTPTransport(retries=20)
            headers = {"Authorization": f"Bearer {token}"}
            with httpx2.Client(transport=transport, base_url=address, headers=headers, trust_env=False) as http:
                [own] = [row for row in http.get("/v1/tokens").json() if row["name"] == "this machine"]
                assert http.delete(f"/v1/tokens/{own['id']}").status_code == 204
        (directory / "run" / "runtime.json").unlink()
    assert tokens[0] != tokens[1]
