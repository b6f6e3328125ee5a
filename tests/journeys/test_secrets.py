"""A secret's value goes into the container and comes out nowhere: not in the notebook, not in logs, not on the disk."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig

pytestmark = [pytest.mark.timeout(240), pytest.mark.skipif(sys.platform != "linux", reason="starts a runtime here")]

FIRST = "hf_Zq81LmPw07XkRt93VbGh"
SECOND = "hf_another-one-after-it-was-rotated"
MASTER_KEY = base64.b64encode(bytes(range(32))).decode()

INSTALLED = {"env", "bytecode"}  # packages, before any cell ran

WRITES = """%%gpu A100 --secret hf
import base64, os, subprocess, sys, time
token = os.environ["HF_TOKEN"]
subprocess.run(["true"])  # a cell's first program waits for the folder's names, longer than half a value is held back
print(token)
for part in (token[:5], token[5:11], token[11:]):
    sys.stdout.write(part)
    sys.stdout.flush()
    time.sleep(0.03)
print()
print(token[:9], end="")
subprocess.run(["printf", "%s\\n", token[9:]])
subprocess.run("echo $HF_TOKEN; printenv HF_TOKEN | base64; printenv HF_TOKEN >&2", shell=True)
print(base64.b64encode(f"user:{token}".encode()).decode(), token.encode().hex(), [token])
print("the end")
"""
SHOWS = """%%gpu A100 --secret hf
from IPython.display import HTML, display
display(HTML(f"<b>{token}</b>"))
display({"application/json": {"deep": [{token: token}]}, "text/plain": token}, raw=True)
token
"""
RAISES = """%%gpu A100 --secret hf
def connect(token):
    raise ConnectionError(f"403 for {token}")
connect(token)
"""
KEEPS = """%%gpu A100 --secret hf
class Client:
    def __init__(self, key):
        self.headers = {"Authorization": f"Bearer {key}"}
client, settings = Client(token), {"auth": [token.encode()], "epochs": 3}
epochs = settings["epochs"]
"""
WAKES = """%%gpu A100 --secret hf
now = os.environ["HF_TOKEN"]
same = [token == now, client.headers["Authorization"] == f"Bearer {now}", settings["auth"] == [now.encode()]]
size = len(now)
del now
"""


@dataclass(frozen=True)
class Story:
    """The executed notebook and everything that was written meanwhile."""

    notebook: Any
    environments: bytes  # of the processes containers come from
    written: frozenset[str]  # names of the files that lay below the folder while the session hibernated
    holders: list[str]  # those that held a value in some spelling

    def text(self, number: int) -> str:
        """Return what a cell printed."""
        return "".join(out.text for out in self.notebook.cells[number].outputs if out.output_type == "stream")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the notebook once; the secret is written anew while the session hibernates."""
    folder = tmp_path_factory.mktemp("secrets")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "DATA", "RUNTIME"):
            patch.setenv(f"CELLBURST_{name}_DIR", str(folder / name.lower()))
        patch.setenv("CELLBURST_SIMULATE_GPUS", "A100:1")
        patch.setenv("CELLBURST_MASTER_KEY", MASTER_KEY)
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        try:
            yield _told(folder)
        finally:
            if running_runtime(ClientConfig.load()) is not None:
                with ControlPlane(ensure_runtime(ClientConfig.load())) as plane:
                    plane.stop_runtime()
                wait_until_gone(ClientConfig.load())


def _told(folder: Path) -> Story:
    show = "print(epochs, token, client)"
    codes = [
        "%load_ext cellburst",
        WRITES,
        SHOWS,
        RAISES,
        KEEPS,
        show,
        "%gpu_stop",
        WAKES,
        "print(same, size)",
        "%gpu_stop",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    client = NotebookClient(notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    with ControlPlane(ensure_runtime(ClientConfig.load())) as plane:
        plane.put_secret("hf", {"HF_TOKEN": FIRST})
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                if cell.source == WAKES:
                    plane.put_secret("hf", {"HF_TOKEN": SECOND})
                client.execute_cell(cell, index)
                if cell.source == KEEPS:
                    environments = _environments(folder)
            nbformat.write(notebook, folder / "notebook.ipynb")
            written = _written(folder)
    holders = [str(file) for file, data in written.items() if any(text in data for text in _spelled())]
    return Story(notebook, environments, frozenset(file.name for file in written), holders)


def _written(folder: Path) -> dict[Path, bytes]:
    """Read everything below the folder, but for packages, while the session hibernates."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not INSTALLED & set(file.parts):
            with suppress(FileNotFoundError):  # the runtime was done with it
                found[file] = file.read_bytes()
    return found


def _spelled() -> list[bytes]:
    """Return what no file may hold."""
    values = [value.encode() for value in (FIRST, SECOND, MASTER_KEY)]
    return [
        *values,
        *(base64.b64encode(value).rstrip(b"=") for value in values),
        *(value.hex().encode() for value in values),
    ]


def _environments(folder: Path) -> bytes:
    """Return the environments of the processes below the runtime whose command names our folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"remote_runtime.agent" in (process / "cmdline").read_bytes()
                and str(folder).encode() in (process / "cmdline").read_bytes()
            ):
                found.append((process / "environ").read_bytes())
        except OSError:  # it ended
            continue
    return b"\0".join(found)


def test_what_a_cell_writes_is_struck(story: Story) -> None:
    """Whole, in parts, by processes, encoded: the lines are there, the value is not."""
    lines = story.text(1).splitlines()
    assert lines[:4] == ["***HF_TOKEN***"] * 4
    assert story.text(1).count("***HF_TOKEN***") == 9
    assert "the end" in lines


def test_the_cells_did_what_they_say(story: Story) -> None:
    """Only the one that raises failed, with its name and its message but for the value."""
    failed = [out for cell in story.notebook.cells for out in cell.outputs if out.output_type == "error"]
    assert [out.ename for out in failed] == ["ConnectionError"]
    assert failed[0].evalue == "403 for ***HF_TOKEN***"
    assert "***HF_TOKEN***" in str(story.notebook.cells[2].outputs)


def test_what_holds_it_stays_and_the_rest_comes_home(story: Story) -> None:
    """Names are handles here; what holds nothing of it is a value."""
    text = story.text(5)
    assert text.startswith("3 <token: str")
    assert "<client: Client" in text


def test_a_rotated_secret_is_the_new_one_everywhere(story: Story) -> None:
    """In the environment of the container that woke, and inside the values that were saved."""
    assert story.text(8) == f"[True, True, True] {len(SECOND)}\n"


def test_no_file_holds_it(story: Story) -> None:
    """The notebook, the logs, the database, the saved state, the arena: everything that lies below one folder."""
    assert {"notebook.ipynb", "index.json", "pack", "store.sqlite3", "runtime.jsonl"} <= story.written
    assert story.holders == []


def test_the_master_key_is_not_inherited(story: Story) -> None:
    """The processes that containers are forked from never had it."""
    assert story.environments
    assert MASTER_KEY.encode() not in story.environments


def test_the_arguments_of_no_process_hold_it(story: Story) -> None:
    """Every user of the host can list them."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
    assert FIRST.encode() not in listed
    assert SECOND.encode() not in listed
