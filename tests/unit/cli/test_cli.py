"""The command line, against a real runtime that it starts itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_bridge.cli.common import table
from kernel_bridge.cli.main import main
from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.locks import is_locked
from kernel_bridge.config import ClientConfig
from kernel_bridge.errors import RuntimeUnreachable

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Directories short enough for a socket; what runs in them is stopped at the end."""
    base = tempfile.mkdtemp(prefix="cb-")
    chosen = {name: f"{base}/{name[10].lower()}" for name in ("CELLBURST_DATA_DIR", "CELLBURST_RUNTIME_DIR")}
    chosen["CELLBURST_CONFIG_DIR"] = f"{base}/c"
    yield chosen
    config = ClientConfig.load(os.environ | chosen)
    if running_runtime(config) is not None:
        with ControlPlane(config.embedded_address()) as plane:
            plane.stop_runtime()
        wait_until_gone(config)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def run(places: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; returns its exit code and what it printed."""
    for name, value in places.items():
        monkeypatch.setenv(name, value)

    def run_command(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command


def test_status_starts_nothing(run: Run, places: dict[str, str]) -> None:
    """Without a runtime it says so, in JSON too, and `stop` has nothing to do."""
    assert run("runtime", "status") == (0, "No runtime runs here; the first %%gpu cell starts one.\n", "")
    assert json.loads(run("runtime", "status", "--json")[1]) == {"running": False}
    assert run("runtime", "stop")[0] == 0
    assert not Path(places["CELLBURST_RUNTIME_DIR"], "token").exists()


def test_files_go_into_a_volume_and_come_back(run: Run, tmp_path: Path) -> None:
    """A file, a folder, listing, fetching, and no silent overwriting."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(os.urandom(3 << 20))
    (folder / "deep" / "ä b.txt").write_text("text")
    assert run("volume", "create", "models")[0] == 0
    assert run("volume", "put", "models", str(folder))[:2] == (0, "2 files in models\n")
    assert run("volume", "put", "models", str(folder / "a.bin"), "top/x.bin")[0] == 0
    listed = json.loads(run("volume", "ls", "models", "-r", "--json")[1])
    assert {entry["path"] for entry in listed if entry["kind"] == "file"} == {
        "data/a.bin",
        "data/deep/ä b.txt",
        "top/x.bin",
    }
    assert run("volume", "get", "models", "data", str(tmp_path / "back"))[0] == 0
    assert (tmp_path / "back" / "deep" / "ä b.txt").read_text() == "text"
    assert run("volume", "get", "models", "top/x.bin", str(tmp_path))[:2] == (0, f"{tmp_path / 'x.bin'}\n")
    assert (tmp_path / "x.bin").read_bytes() == (folder / "a.bin").read_bytes()
    code, _, said = run("volume", "get", "models", "top/x.bin", str(tmp_path))
    assert code == 1
    assert "--force" in said
    assert run("volume", "get", "models", "top/x.bin", str(tmp_path), "--force")[0] == 0


def test_volumes_are_listed_and_deleted(run: Run) -> None:
    """Deleting a whole volume has to be said."""
    run("volume", "create", "short-lived")
    assert "short-lived" in run("volume", "ls")[1]
    assert run("volume", "rm", "short-lived")[0] == 2
    assert run("volume", "rm", "short-lived", "--all")[:2] == (0, "short-lived is deleted\n")
    code, printed, said = run("volume", "ls", "short-lived")
    assert (code, printed) == (1, "")
    assert said.startswith("cellburst: ")
    assert said.count("\n") == 1


def test_secrets_are_taken_five_ways_and_never_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As an argument, from stdin, from the environment, from a `.env` file, from JSON."""
    monkeypatch.setenv("FROM_HERE", "value-three")
    (tmp_path / ".env").write_text("FOUR='value-four'\nONE=overridden\n")
    (tmp_path / "s.json").write_text('{"FIVE": "value-five"}')
    files = ("--from-dotenv", str(tmp_path / ".env"), "--from-json", str(tmp_path / "s.json"))
    code, printed, said = run(
        "secret", "create", "hf", "ONE=value-one", "TWO=-", "--from-env", "FROM_HERE", *files, stdin="value-two\n"
    )
    assert (code, printed, said) == (0, "hf: FIVE, FOUR, FROM_HERE, ONE, TWO\n", "")
    for arguments in (("secret", "ls"), ("secret", "ls", "--json")):
        listed = run(*arguments)[1]
        assert "TWO" in listed
        assert "value-" not in listed
    assert run("secret", "rekey")[1].startswith("1 secret sealed with a new master key")
    assert run("secret", "rm", "hf")[0] == 0
    assert run("secret", "rm", "hf")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [("create", "s"), ("create", "s", "hunter2"), ("create", "s", "=hunter2"), ("create", "s", "A=-", "B=-")],
)
def test_a_secret_written_wrongly_is_not_repeated(run: Run, arguments: tuple[str, ...]) -> None:
    """The line says what to write, without the value that may be in it."""
    code, printed, said = run("secret", *arguments)
    assert code == 2
    assert "hunter2" not in printed + said


def test_a_variable_that_is_not_there_is_said(run: Run) -> None:
    """An empty secret would fail later and elsewhere."""
    code, _, said = run("secret", "create", "s", "--from-env", "NOT_SET_ANYWHERE")
    assert (code, "NOT_SET_ANYWHERE" in said) == (1, True)


def test_a_token_is_shown_once_and_works_until_revoked(run: Run, places: dict[str, str]) -> None:
    """Stdout holds the token alone."""
    code, printed, said = run("token", "create", "laptop", "--expires", "30d")
    token = printed.strip()
    assert (code, token[:3]) == (0, "cb_")
    assert token not in said
    listed = json.loads(run("token", "ls", "--json")[1])
    (mine,) = [each for each in listed if each["name"] == "laptop"]
    assert token not in json.dumps(listed)
    assert run("token", "revoke", mine["id"])[0] == 0
    assert run("token", "create", "--expires", "soon")[0] == 2


def test_status_shows_the_runtime(run: Run) -> None:
    """For people and for programs."""
    code, printed, _ = run("runtime", "status")
    assert code == 0
    assert "started by a notebook" in printed
    shown = json.loads(run("runtime", "status", "--json")[1])
    assert (shown["running"], shown["sessions"]) == (True, [])


def test_prune_says_what_went(run: Run, places: dict[str, str]) -> None:
    """A dry run lists it, and the second time nothing is left."""
    run("volume", "ls")  # starts the runtime
    folder = Path(places["CELLBURST_DATA_DIR"]) / "sessions" / "ses_0123456789abcdef"
    folder.mkdir(parents=True)
    os.utime(folder, (1_000, 1_000))
    assert "would go" in run("runtime", "prune", "--dry-run")[1]
    assert [one["name"] for one in json.loads(run("runtime", "prune", "--json")[1])] == [folder.name]
    assert run("runtime", "prune")[1] == "nothing is kept that nobody needs\n"


def test_a_wrong_address_and_token_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, whatever is wrong."""
    monkeypatch.setenv("CELLBURST_URL", "http://127.0.0.1:9")
    code, _, said = run("volume", "ls")
    assert (code, said.count("\n"), "http://127.0.0.1:9" in said) == (1, 1, True)
    monkeypatch.setenv("CELLBURST_URL", "nonsense")
    assert run("volume", "ls")[0] == 2


def test_a_killed_runtime_is_started_again(run: Run, places: dict[str, str]) -> None:
    """What it left behind, a socket nobody answers at included, is in nobody's way."""
    config = ClientConfig.load(os.environ | places)
    before = running_runtime(config)
    assert before is not None
    os.kill(before.pid, 9)
    assert run("volume", "ls")[0] == 0
    after = running_runtime(config)
    assert after is not None
    assert after.pid != before.pid


def test_stop_waits_for_the_process(run: Run, places: dict[str, str]) -> None:
    """Afterwards another runtime can start at once."""
    config = ClientConfig.load(os.environ | places)
    for _ in range(2):
        assert run("volume", "ls")[0] == 0
        assert is_locked(config.running_lock)
        assert run("runtime", "stop")[0] == 0
        assert not is_locked(config.running_lock)


def test_two_kernels_start_one_runtime(run: Run, places: dict[str, str]) -> None:
    """The second waits for the first's."""
    assert run("runtime", "stop")[0] == 0
    program = (
        "from kernel_bridge.client.embedded import *; from kernel_bridge.config import ClientConfig as C; "
        "print(ControlPlane(ensure_runtime(C.load())).runtime().pid)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=os.environ | places, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate(timeout=30)[0] for process in started)
    assert first == second != ""


def test_a_runtime_that_cannot_start_says_why(tmp_path: Path, places: dict[str, str]) -> None:
    """The last line of its log, and where that is."""
    base = Path(places["CELLBURST_DATA_DIR"]).parent
    env = os.environ | {"CELLBURST_RUNTIME_DIR": f"{base}/x", "CELLBURST_DATA_DIR": str(tmp_path)}
    config = ClientConfig.load(env | {"CELLBURST_IDLE_AFTER_S": "often"})
    with pytest.raises(RuntimeUnreachable, match=r"CELLBURST_IDLE_AFTER_S is 'often'.*runtime.log"):
        ensure_runtime(config)


def test_tables_are_for_people() -> None:
    """Columns align."""
    assert table([("A", "BB"), ("ccc", "d")]) == "A    BB\nccc  d"


def test_asking_wrongly_is_code_two() -> None:
    """As every command line has it."""
    for arguments in ([], ["volume"], ["nonsense"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
