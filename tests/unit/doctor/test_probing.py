"""Looking for real, on this machine: as the user who tests, as an ordinary one, and with things taken away."""

from __future__ import annotations

import asyncio
import datetime
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from remote_runtime.clock import SystemClock
from remote_runtime.doctor import address, cgroups, clocks, disk, engine, folders, kernel, memory, namespaces, probing
from remote_runtime.doctor.findings import Grade
from remote_runtime.settings import Settings

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="takes things away as Linux does"),
]

ROOT = Path(__file__).parents[3]
# In a mount namespace of its own; an ordinary user is root in a user namespace first.
APART = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
COMMAND = [sys.executable, "-m", "kernel_bridge.cli.main", "runtime", "doctor", "--json"]
# The test runner may be an interpreter only root can start, so everything is imported before the user is changed.
AS_NOBODY = """
import dataclasses, json, os, pathlib, sys
from remote_runtime.doctor import cgroups, folders, kernel, limits, memory, namespaces
from remote_runtime.linux import calls
from remote_runtime.settings import Settings
os.setgroups([]); os.setgid(65534); os.setuid(65534)
calls.prctl(calls.PR_SET_DUMPABLE, 1)
found = [*kernel.judge(kernel.probe()), *namespaces.judge(namespaces.probe(pathlib.Path("/tmp"))),
         *cgroups.judge(cgroups.probe()), *memory.judge(memory.probe(None)), *limits.judge(limits.probe()),
         *folders.judge(folders.probe(Settings(data_dir=pathlib.Path(sys.argv[1]), runtime_dir=pathlib.Path("/none"))))]
print(json.dumps([each.wire() for each in found]))
"""


@pytest.fixture
def places() -> Iterator[dict[str, str]]:
    """Folders of a user, which do not exist; the index is not asked."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        names = {f"CELLBURST_{name}_DIR": f"{folder}/{name.lower()}" for name in ("DATA", "CONFIG", "RUNTIME")}
        theirs = dict.fromkeys((name for name in os.environ if name.startswith(("PIP_", "UV_"))), "")
        offline = {"PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
        yield {**theirs, **offline, **names, "UV_CACHE_DIR": f"{folder}/cache", "PYTHONPATH": str(ROOT)}


def doctor(env: dict[str, str], *options: str, before: str = "", apart: bool = False) -> tuple[int, dict[str, Any]]:
    """Run the command, after shell commands where something is to be taken away; return its code and findings."""
    shell = ["sh", "-c", f'{before or ":"}\nexec "$@"', "sh", *COMMAND, *options]
    done = subprocess.run(
        [*(APART if apart else []), *shell], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["cells_can_run"] == (done.returncode == 0)
    return done.returncode, {each["subject"]: each for each in told["findings"]}


def test_a_host_that_has_everything_runs_cells(places: dict[str, str]) -> None:
    """Exit code 0, every subject, and nothing is left where the user's folders would be."""
    code, found = doctor(places)
    assert code == 0
    assert {"isolation", "kernel", "cgroups", "shared memory", "data folder", "uv", "address", "clock", "cards",
            "Docker"} <= found.keys()  # fmt: skip
    assert found["package index"]["grade"] == "weaker"  # as it is told to stay offline
    assert list(Path(places["CELLBURST_DATA_DIR"]).parent.iterdir()) == []


def test_people_get_a_table(places: dict[str, str]) -> None:
    """Without --json, in the terminal's width, with the verdict last."""
    command = [each for each in COMMAND if each != "--json"]
    env = os.environ | places | {"COLUMNS": "80"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("Cells can run here. ")
    assert all(len(line) <= 80 for line in lines if "mend: " not in line)
    assert done.stderr == ""


def test_a_data_folder_without_room_stops_cells(places: dict[str, str]) -> None:
    """A tmpfs of one megabyte."""
    data = places["CELLBURST_DATA_DIR"]
    code, found = doctor(places, before=f"mkdir {data} && mount -t tmpfs -o size=1m small {data}", apart=True)
    assert (code, found["data folder"]["grade"]) == (1, "missing")
    assert "tmpfs" in found["data folder"]["found"]
    assert found["package links"]["grade"] == "weaker"


def test_a_data_folder_that_is_read_only_stops_cells(places: dict[str, str]) -> None:
    """For root too."""
    data = places["CELLBURST_DATA_DIR"]
    code, found = doctor(places, before=f"mkdir {data} && mount -t tmpfs -o ro none {data}", apart=True)
    assert (code, found["data folder"]["grade"]) == (1, "missing")
    assert "CELLBURST_DATA_DIR" in found["data folder"]["mend"]


def test_no_uv_stops_cells(places: dict[str, str]) -> None:
    """Its program is covered; that it is not on the PATH does not matter."""
    code, found = doctor(places, before=f"mount --bind /dev/null {find_uv_bin()}", apart=True)
    assert (code, found["uv"]["grade"]) == (1, "missing")
    code, found = doctor(places | {"PATH": "/usr/bin:/bin"})
    assert (code, found["uv"]["grade"]) == (0, "ok")


def test_few_open_files_stop_cells(places: dict[str, str]) -> None:
    """A hard limit below what the runtime needs."""
    code, found = doctor(places, before="ulimit -n 100")
    assert (code, found["open files"]["grade"]) == (1, "missing")


def test_a_taken_port_stops_cells(places: dict[str, str]) -> None:
    """Another program's; a free one does not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, found = doctor(places, "--host", "127.0.0.1", "--port", port)
        assert (code, found["address"]["grade"]) == (1, "missing")
        assert port in found["address"]["found"]
    assert doctor(places, "--host", "127.0.0.1", "--port", "0")[1]["address"]["grade"] == "ok"


def test_settings_that_cannot_be_are_one_line(places: dict[str, str]) -> None:
    """As when a runtime starts."""
    env = os.environ | places | {"CELLBURST_IDLE_AFTER_S": "often"}
    done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CELLBURST_IDLE_AFTER_S is 'often'")
    assert done.stderr.count("\n") == 1


def test_our_own_runtime_may_hold_its_port(tmp_path: Path) -> None:
    """A runtime of these folders, known by its lock and what it wrote down, is no other program."""
    with socket.create_server(("127.0.0.1", 0)) as taken, (tmp_path / "runtime.lock").open("w") as lock:
        port = taken.getsockname()[1]
        settings = Settings(data_dir=tmp_path, runtime_dir=tmp_path, host="127.0.0.1", port=port)
        (tmp_path / "runtime.json").write_text(json.dumps({"pid": 7, "address": f"http://127.0.0.1:{port}"}))
        assert address.judge(address.probe(settings))[0].grade is Grade.MISSING
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert address.judge(address.probe(settings))[0].grade is Grade.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever tests is an ordinary user already")
def test_an_ordinary_user_is_told_what_they_lack(tmp_path: Path) -> None:
    """Large pages and limits want root, somebody else's folder is refused; walls stand, or their setting is named."""
    (tmp_path / "data").mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path / "data")],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    found = {each["subject"]: each for each in json.loads(done.stdout)}
    assert found["shared memory"]["grade"] == "weaker"
    assert "uid=65534" in found["shared memory"]["mend"]
    assert found["system calls"]["grade"] == "ok"
    assert found["namespaces"]["grade"] == found["user namespaces"]["grade"]
    assert "mapped mounts" not in found
    assert any(each["vital"] and each["grade"] == "missing" for each in found.values())  # the folder is root's


def test_what_the_kernel_refuses_is_told() -> None:
    """Without user namespaces, as `unshare` in a sandbox that allows none of its own."""
    code = (
        "from remote_runtime.linux.seccomp import install_filter; from remote_runtime.linux import calls\n"
        "import json, pathlib; from remote_runtime.doctor import namespaces\n"
        "calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1); install_filter()\n"
        "print(json.dumps([each.wire() for each in namespaces.judge(namespaces.probe(pathlib.Path('/tmp')))]))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    found = {each["subject"]: each for each in json.loads(done.stdout)}
    assert found["user namespaces"]["grade"] == found["namespaces"]["grade"] == "weaker"
    assert "Operation not permitted" in found["user namespaces"]["found"]


def test_looking_changes_nothing_of_this_process(tmp_path: Path) -> None:
    """What is tried is tried in children, and they are gone."""
    before, children = own_namespaces(), own_children()
    kernel.probe()
    namespaces.probe(tmp_path)
    memory.probe(None)
    cgroups.probe()
    assert own_namespaces() == before
    assert "Seccomp:\t2" not in Path("/proc/self/status").read_text()
    assert own_children() == children


def own_children() -> set[str]:
    """Return this process's children, those that ended and nobody waited for included."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def own_namespaces() -> list[Path]:
    """Return what names this process's namespaces, and where it works."""
    return [*(Path("/proc/self/ns", name).readlink() for name in ("mnt", "pid", "user", "cgroup")), Path.cwd()]


def test_a_trial_that_dies_or_hangs_is_told() -> None:
    """The rest of the round goes on."""
    assert "-9" in probing.in_child(lambda outcomes: os.kill(os.getpid(), signal.SIGKILL))["died"]
    assert "-9" in probing.in_child(lambda outcomes: signal.pause(), timeout_s=0.05)["died"]
    found = probing.in_child(lambda outcomes: outcomes.update(seen="") or 1 / 0)  # type: ignore[func-returns-value]
    assert found == {"seen": "", "died": "division by zero"}
    assert probing.why(found, "unseen") == "unseen: division by zero"


def test_rights_are_looked_at(tmp_path: Path) -> None:
    """A key that others can read is refused as the runtime would refuse it."""
    (tmp_path / "master.key").write_text("x")
    (tmp_path / "master.key").chmod(0o644)
    tmp_path.chmod(0o700)
    settings = Settings(data_dir=tmp_path, runtime_dir=tmp_path / "none")
    assert [each.subject for each in folders.judge(folders.probe(settings))] == [folders.MASTER_KEY]
    (tmp_path / "master.key").chmod(0o600)
    assert folders.judge(folders.probe(settings))[0].grade is Grade.OK


def test_links_across_file_systems_are_refused(tmp_path: Path) -> None:
    """As the kernel refuses them; within one they are made and removed."""
    assert disk.probe_links(tmp_path / "cache", tmp_path / "data").refused == ""
    assert list(tmp_path.iterdir()) == []
    if Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev:
        other = Path(tempfile.mkdtemp(dir="/dev/shm"))
        assert disk.probe_links(other, tmp_path).refused
        shutil.rmtree(other)


class _Answering(BaseHTTPRequestHandler):
    """Answers everything with one JSON text, and with a clock that is two minutes ahead."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"Version": "28.2.2"}')

    def date_time_string(self, timestamp: float | None = None) -> str:
        ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=120)
        return ahead.strftime("%a, %d %b %Y %H:%M:%S GMT")

    def address_string(self) -> str:
        return "somebody"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[str]:
    """A server elsewhere; yields its address."""
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_clock_elsewhere_is_compared(answering: str) -> None:
    """By the Date of an answer; where none comes, that is said."""
    apart = clocks.probe(SystemClock(), answering).apart_s
    assert apart is not None
    assert 110 < apart < 130
    assert clocks.probe(SystemClock(), "http://127.0.0.1:9").apart_s is None


def test_docker_is_asked_through_its_socket(tmp_path: Path) -> None:
    """A version, a socket nobody answers at, or none."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        path = f"{folder}/docker.sock"
        env = {"DOCKER_HOST": f"unix://{path}"}
        assert engine.probe(env).socket == ""
        asyncio.run(_ask_an_engine(path, env))
        Path(path).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        assert "does not answer" in engine.probe(env).problem


async def _ask_an_engine(path: str, env: dict[str, str]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"Version": "28.2.2"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        assert (await asyncio.to_thread(engine.probe, env)).version == "Docker 28.2.2"
