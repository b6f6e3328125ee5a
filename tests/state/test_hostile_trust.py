"""A runtime that is trusted with data alone (U13): data comes home, the rest stays, nothing is a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.data_only import harmless_output, harmless_reply
from kernel_bridge.config import CODE, ClientConfig
from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.cells import CellReply, FileRef, HandleHead
from kernel_bridge.protocol.messages import IOPUB, Message, new_header


@pytest.fixture
def wary(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    """The notebook, which takes nothing but data."""
    shell.run_cell("%gpu_config trust=data").raise_error()
    yield shell
    shell.run_cell("%gpu_config trust=auto").raise_error()


def test_data_comes_home_and_the_rest_stays_with_its_reason(wary: InteractiveShell) -> None:
    """New values, changes in place and the result, as far as they are data; a handle says why not."""
    wary.run_cell(
        "import numpy as np\nd = {'n': [1]}\na = np.zeros(3)\nkept = d['n']\ndef mine(x): return x"
    ).raise_error()
    cell = "%%gpu A100\nd['n'].append(2); a[0] = 7\ndef f(): return 1\nclass C: pass\nc = {'k': [C()]}\nmine(5)"
    assert wary.run_cell(cell).success
    names = wary.user_ns
    assert (names["d"], names["a"].tolist(), names["_"]) == ({"n": [1, 2]}, [7.0, 0.0, 0.0], 5)
    assert names["d"]["n"] is names["kept"]
    assert names["mine"](3) == 3, "what came from here and did not change stays what it is"
    assert "trust=data" in names["f"].info.reason
    assert "c['k'][0]" in names["c"].info.reason
    assert wary.run_cell("%%gpu A100\nr = f()").success
    assert names["r"] == 1


def test_a_handles_value_is_fetched_as_data_or_not_at_all(wary: InteractiveShell) -> None:
    """`.fetch()` is no way around it."""
    wary.run_cell("%%gpu A100 --leave big,fn\nbig = [1, 2]\nfn = len").raise_error()
    assert wary.run_cell("big.fetch()").result == [1, 2]
    assert "plain data" in str(wary.run_cell("fn.fetch()").error_in_exec)


def test_an_exception_comes_home_by_name_and_text(wary: InteractiveShell) -> None:
    """One of Python's own is itself; one of another class is told, and none of its code is here."""
    assert isinstance(wary.run_cell("%%gpu A100\n{}['k']").error_in_exec, KeyError)
    error = wary.run_cell("%%gpu A100\nclass Own(Exception): pass\nraise Own('why')").error_in_exec
    assert (type(error).__name__, str(error)) == ("Own", "why")
    assert type(error).__module__ != "__main__"


def test_a_result_that_is_more_than_data_is_a_handle(wary: InteractiveShell) -> None:
    """`Out[n]` stands for it."""
    wary.run_cell("%%gpu A100\nlambda: 1").raise_error()
    assert "trust=data" in wary.user_ns["_"].info.reason


def test_files_that_programs_run_stay(wary: InteractiveShell) -> None:
    """A module beside the notebook would be imported instead of the real one."""
    wary.run_cell("%%gpu A100\nfor n in ('numpy.py', 'a.csv', 'm.pkl'): open(n, 'w').write('1')").raise_error()
    assert (Path("numpy.py").exists(), Path("m.pkl").exists(), Path("a.csv").exists()) == (False, False, True)


def test_what_a_lying_runtime_sends_instead_is_not_run(wary: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container's own check is not relied on: a pickle of a call under a name the cell bound does nothing."""
    tells = (
        "%%gpu A100\nimport kernel_bridge.capture.packing as p, kernel_bridge.codecs.pickler as k, os\n"
        "from kernel_bridge.codecs.arrays import Memory\n"
        "class Evil:\n    def __reduce__(self): return (os.mkdir, ('pwned',))\n"
        "honest = p.pack_data\n"
        "def lie(content, names, references):\n"
        "    return k.pack(({n: Evil() for n in content[0]}, [], b''), names, references, Memory())\n"
        "p.pack_data = lie\nspoiled = [1]"
    )
    monkeypatch.setattr("os.mkdir", lambda *_: pytest.fail("it was run"))
    assert wary.run_cell(tells).success
    assert "spoiled" not in wary.user_ns
    monkeypatch.undo()
    wary.run_cell("%%gpu A100\np.pack_data = honest").raise_error()


def test_displays_are_shown_without_what_a_browser_runs() -> None:
    """HTML, SVG, scripts and widgets are left out; text and pictures are shown."""

    def display(**data: Any) -> Message:
        return Message(IOPUB, new_header("display_data", "s"), content={"data": data, "metadata": {}})

    shown = harmless_output(display(**{"text/html": "<script>", "text/plain": "x", "image/png": "iVBO"}))
    assert shown is not None
    assert shown.content["data"] == {"text/plain": "x", "image/png": "iVBO"}
    only = harmless_output(display(**{"application/javascript": "alert(1)"}))
    assert only is not None
    assert "trust=data" in only.content["data"]["text/plain"]
    assert harmless_output(Message(IOPUB, new_header("comm_open", "s"))) is None


def test_names_that_python_itself_uses_are_not_bound() -> None:
    """A reply can neither bind nor delete them, nor write files that are run."""
    reply = CellReply(
        epoch="e",
        handles=tuple(HandleHead(key="k", name=name, type="t") for name in ("__builtins__", "get_ipython", "x", "a b")),
        deleted=("In", "__name__", "y"),
        files=tuple(FileRef(path=path, size_bytes=1) for path in ("a.py", ".x/a.csv", "b.csv", "c.ipynb", "d.pth")),
    )
    kept = harmless_reply(reply)
    assert [head.name for head in kept.handles] == ["x"]
    assert kept.deleted == ("y",)
    assert [ref.path for ref in kept.files] == ["b.csv"]
    assert "a.py" in kept.notices[0]


def test_a_connection_remembers_what_it_is_trusted_with(config: ClientConfig) -> None:
    """So that a kernel started tomorrow is as careful; the environment has the last word."""
    env = {"CELLBURST_CONFIG_DIR": str(config.config_dir)}
    config.save_connection("https://gpu-host:8443", "token", "data")
    assert ClientConfig.load(env).trust == "data"
    assert ClientConfig.load(env | {"CELLBURST_TRUST": "code"}).trust == CODE
    config.forget_connection()
    assert ClientConfig.load(env).trust == CODE
    with pytest.raises(BadOption, match="trust=data"):
        ClientConfig.load(env | {"CELLBURST_TRUST": "maybe"})
