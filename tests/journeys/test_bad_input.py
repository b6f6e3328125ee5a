"""What a cell says when it cannot run: one line with what to do next, nothing of ours around it, nothing left over."""

from __future__ import annotations

import atexit
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import cellburst
from jupyter_ext import load_ipython_extension, unload_ipython_extension
from jupyter_ext.session import Sessions
from kernel_bridge.client.embedded import running_runtime
from kernel_bridge.config import ClientConfig

pytestmark = pytest.mark.timeout(240)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_OURS = ("jupyter_ext", "kernel_bridge", "remote_runtime", "Traceback (most recent call last)")
OTHER_PYTHON = "3.12" if sys.version_info[:2] == (3, 11) else "3.11"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # has the form of a credential and is none
NOTHING_STARTS = [  # cell, what is said
    ("%%gpu A100\nx = 1\ndef broken(:\n    pass", r"(?:line 2|>:2)\n.*def broken\(:\n.*\nSyntaxError: invalid syntax"),
    ("%%gpu A100\nreturn 5", r"(?:line 1|>:1)\n.*return 5\n.*\nSyntaxError: 'return' outside function"),
    ("%gpu f(", r"SyntaxError: '\(' was never closed"),
    (
        "%%gpu A100\nlen(token)",
        r"CredentialHeldBack: token looks like a GitHub token; .*`--secret NAME` or `--in token`",
    ),
    ("%%gpu --tiemout 5\n1", r"UsageError: `--tiemout` is not an option of `%%gpu`: did you mean `--timeout`\?"),
    ("%%gpu --timeout soon\n1", r"UsageError: `soon` is not a length of time: write for example `30m`"),
    ("%%gpu --memory lots\n1", r"UsageError: `lots` is not a size: write for example `16G`"),
    ("%%gpu --cpu -2\n1", r"UsageError: `--cpu -2`: write a number above zero, for example `--cpu 4`"),
    ("%%gpu --volume shelf\n1", r"UsageError: `--volume shelf`: write `--volume NAME:/path`"),
    ("%%gpu --secret A=b\n1", r"UsageError: `--secret A=b`: write the secret's name only"),
    ("%%gpu --session a/b\n1", r"UsageError: `--session a/b`: a session's name is letters"),
    ("%%gpu --in nowhere\n1", r"UsageError: `--in nowhere`: the notebook has no `nowhere`"),
    ("%%gpu --image token\n1", r"UsageError: `--image token` is of type str: write for example `cellburst.Image"),
    ("%%gpu --image nowhere\n1", r"UsageError: `--image nowhere`: NameError: name 'nowhere' is not defined\.$"),
    ("%%gpu --idle\n1", r"UsageError: --idle: expected one argument; see `%%gpu\?`"),
    ("%%gpu A100:9\n1", r"UsageError: `A100:9`: one container takes 1 to 8 cards"),
    ("%%gpu A100 H100\n1", r"UsageError: `H100` is one word too many: write one card, then options: `%%gpu A100"),
    ("%gpu A100", r"UsageError: `A100` is a card: write what to run after it, `%gpu A100 f\(x\)`"),
    ("%gpu", r"UsageError: There is nothing to run: write `%gpu f\(x\)`"),
    ("%gpu_get", r"UsageError: Write the path of one remote file: `%gpu_get results/model.bin`"),
    ("%gpu_keep_warm", r"UsageError: Write for how long: `%gpu_keep_warm 2h`"),
    ("%gpu_config colour=red", r"UsageError: `colour` is no setting: there are gpu, image"),
    ("%gpu_config idle", r"UsageError: `idle`: write `idle=VALUE`, or `%gpu_config` alone"),
    ("%gpu_connect gpu-host", r"UsageError: `gpu-host` is not a runtime's address: write for example `https://"),
    ("%gpu_stop", r"NotFound: This notebook has no session yet: a `%%gpu` cell opens one"),
]


class Notebook:
    """A shell with the extension, and what it shows."""

    def __init__(self) -> None:
        self.shell = InteractiveShell()
        self.shell.user_ns |= {"cellburst": cellburst, "token": TOKEN}
        load_ipython_extension(self.shell)
        self.sessions: Sessions = self.shell._cellburst_magics  # type: ignore[attr-defined]

    def close(self) -> None:
        """Leave the sessions and whatever IPython keeps open."""
        unload_ipython_extension(self.shell)
        atexit.unregister(self.shell.atexit_operations)
        self.shell.atexit_operations()

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def run(self, code: str) -> None:
        """Run a cell that must succeed."""
        assert self.shell.run_cell(code, store_history=True).success

    def fail(self, code: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
        """Run a cell that must fail; return the lines it shows, without colours."""
        capsys.readouterr()
        assert not self.shell.run_cell(code, store_history=True).success
        shown = capsys.readouterr()
        return [line for line in _COLOUR.sub("", shown.out + shown.err).splitlines() if line.strip()]


@pytest.fixture(scope="module")
def notebook(config: ClientConfig) -> Iterator[Notebook]:
    """A notebook whose runtime runs, with one simulated card."""
    made = Notebook()
    made.run("%gpu_config simulate=A100:1")
    yield made
    made.close()


@pytest.fixture
def newcomer(config: ClientConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook of a user who has no runtime yet."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        monkeypatch.setenv("CELLBURST_RUNTIME_DIR", f"{folder}/runtime")
        monkeypatch.setenv("CELLBURST_DATA_DIR", f"{folder}/data")
        made = Notebook()
        yield made
        assert list(made.sessions) == []
        assert running_runtime(ClientConfig.load()) is None
        assert list(Path(folder).iterdir()) == []
        made.close()


def one_line(lines: list[str]) -> str:
    """Return the only line, which is an error's name and says what to write or run."""
    assert len(lines) == 1, lines
    assert not any(word in lines[0] for word in _OURS)
    return lines[0]


def containers(notebook: Notebook) -> dict[str, str]:
    """Return the runtime's sessions with their containers."""
    return {each.id: each.container_id for each in notebook.sessions.control_plane().sessions()}


@pytest.mark.parametrize(
    ("cell", "said"), NOTHING_STARTS, ids=[cell.replace("\n", " ⏎ ") for cell, _ in NOTHING_STARTS]
)
def test_it_is_found_before_anything_starts(
    newcomer: Notebook, capsys: pytest.CaptureFixture[str], cell: str, said: str
) -> None:
    """No session, no runtime, no folder: the fixture looks for them afterwards."""
    shown = "\n".join(newcomer.fail(cell, capsys))
    assert re.search(said, shown), shown
    assert not any(word in shown for word in _OURS)
    if "SyntaxError" not in shown:
        one_line(shown.splitlines())


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%gpu A101\n1", r"NoCapacity: No A101 here: this host has 1 A100 \(simulated\).*`%gpu_connect URL`"),
        ("%%gpu A100 --volume gone:/m\n1", r"NotFound: There is no volume 'gone': `cellburst volume create gone`"),
        ("%%gpu A100 --secret gone\n1", r"NotFound: There is no secret `gone`: `cellburst secret create gone KEY=-`"),
        (
            f"%%gpu --image cellburst.Image.debian_slim(python_version='{OTHER_PYTHON}')\n1",
            rf'PythonMismatch: The notebook runs Python 3\.\d+, the image {OTHER_PYTHON}: .*python_version="3\.\d+"',
        ),
    ],
    ids=["card", "volume", "secret", "python"],
)
def test_what_the_runtime_lacks_is_said_before_a_session_exists(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], cell: str, said: str
) -> None:
    """One line that names it and what makes it; the runtime has the sessions it had."""
    before = containers(notebook)
    assert re.match(said, one_line(notebook.fail(cell, capsys)))
    assert containers(notebook) == before


def test_an_image_that_does_not_build_shows_the_failing_line(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's last words are under the cell, the error names the package; no session waits for the image."""
    before = containers(notebook)
    cell = "%%gpu A100 --image cellburst.Image.debian_slim().pip_install('xxhash==999.0')\n1"
    error, *log = notebook.fail(cell, capsys)  # the error is printed, the log is on stderr
    assert any("no version of xxhash==999.0" in line for line in log)
    assert re.match(r"BuildFailed: Could not install `xxhash==999\.0`: .* Correct the packages and run", error)
    assert containers(notebook) == before
    assert list(notebook.sessions.config().data_dir.glob("images/env/*")) == _complete_environments(notebook)


def test_a_value_that_cannot_be_pickled_is_named_with_the_path_inside_it(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could be sent is not taken for sent: the next cell finds it."""
    notebook.shell.user_ns |= {"board": {"a": [1, {"k": (n for n in ())}]}, "fine": [1, 2]}
    said = one_line(notebook.fail("%%gpu A100\nfine.append(3)\nboard['a']", capsys))
    where = r"board\['a'\]\[1\]\['k'\]"
    assert re.match(rf"CannotTravel: board cannot be sent: {where} is a generator \(.*\)\. Make it in", said)
    assert notebook["fine"] == [1, 2]
    notebook.run("%%gpu A100\nfine.append(4)")
    assert notebook["fine"] == [1, 2, 4]


def test_a_name_that_exists_nowhere_is_a_name_error_with_the_cells_line(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a local cell: the line is shown, and what was bound before it is bound."""
    shown = "\n".join(notebook.fail("%%gpu A100\nbound = 1\nlost = nowhere + 1", capsys))
    assert re.search(r"----> 2 lost = nowhere \+ 1\n.*NameError: name 'nowhere' is not defined$", shown, re.DOTALL)
    assert not any(word in shown for word in _OURS[:3])
    assert notebook["bound"] == 1
    assert "lost" not in notebook.shell.user_ns


def test_a_remote_value_that_cannot_come_home_says_so(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays usable where it is; no name of ours is in what is said."""
    notebook.run("%%gpu A100\nlazy = (i for i in range(3))")
    shown = notebook.fail("lazy.fetch()", capsys)
    assert (
        shown[-1] == "RemoteValueError: lazy cannot be brought home: lazy is a generator (a list made of it travels)."
    )
    notebook.run("%%gpu A100\nfirst = next(lazy)")
    assert notebook["first"] == 0


def test_a_credential_travels_when_it_is_meant(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """Held back by its form, sent by `--in`."""
    assert "CredentialHeldBack" in one_line(notebook.fail("%%gpu A100\nsize = len(token)", capsys))
    assert "size" not in notebook.shell.user_ns
    notebook.run("%%gpu A100 --in token\nsize = len(token)")
    assert notebook["size"] == len(TOKEN)


def _complete_environments(notebook: Notebook) -> list[Path]:
    """Return the environments whose build came to its end: they have a Python in them."""
    folder = notebook.sessions.config().data_dir / "images" / "env"
    return [each for each in folder.glob("*") if (each / "bin" / "python").exists()]
