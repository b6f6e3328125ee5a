"""State in, modules of the working directory and of editable installs: C17."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_WRITE = (
    "from pathlib import Path\nfrom importlib import invalidate_caches\ndef put(path, text):\n    p = Path(path)\n"
    "    p.parent.mkdir(parents=True, exist_ok=True)\n    p.write_text(text)\n    invalidate_caches()\n"
)

CASES = [
    Case(
        id="C17 module of the folder",
        here=_WRITE + "put('mod17a.py', 'V = 1\\ndef f(): return V\\n')\nimport mod17a",
        there="r = mod17a.f()",
        after="r == 1",
    ),
    Case(
        id="C17 module edited since it was imported here",
        here="put('mod17a.py', 'V = 22\\ndef f(): return V\\n')",
        there="import mod17a\nr = mod17a.f()",
        after="r == 22",
        here_differs="a local kernel goes on with the module it imported; the container imports the file as it is",
    ),
    Case(
        id="C17 module imported in the cell",
        here=_WRITE + "put('mod17b.py', 'def f(x): return x * 2\\n')",
        there="from mod17b import f as f17b\nr = f17b(2)",
        after="r == 4 and f17b(3) == 6",
    ),
    Case(
        id="C17 package with relative imports",
        here=_WRITE + "put('pack17/__init__.py', 'from .one import one\\n')\n"
        "put('pack17/one.py', 'from . import two\\ndef one(): return two.two() - 1\\n')\n"
        "put('pack17/two.py', 'def two(): return 2\\n')\nimport pack17",
        there="r = pack17.one(), pack17.two.two()",
        after="r == (1, 2)",
    ),
    Case(
        id="C17 submodule of a package",
        here=_WRITE + "put('deep17/__init__.py', '')\nput('deep17/sub/__init__.py', '')\n"
        "put('deep17/sub/leaf.py', 'def leaf(): return 7\\n')\nfrom deep17.sub import leaf as leafmod17",
        there="r = leafmod17.leaf()\nimport deep17.sub.leaf as again17",
        after="r == 7 and again17.leaf() == 7",
    ),
    Case(
        id="C17 namespace package",
        here=_WRITE + "put('space17/part.py', 'def part(): return 5\\n')\nimport space17.part",
        there="r = space17.part.part()",
        after="r == 5",
    ),
    Case(
        id="C17 folder put on the path",
        here=_WRITE + "put('lib17/hacked17.py', 'def f(): return 9\\n')\nimport sys\n"
        "sys.path.insert(0, str(Path('lib17').resolve()))\nimport hacked17",
        there="r = hacked17.f()",
        after="r == 9",
    ),
    Case(
        id="C17 object of a module's class",
        here=_WRITE + "put('cls17.py', 'class A:\\n    def __init__(self): self.x = [1]\\n"
        "    def up(self): self.x.append(2)\\n')\nimport cls17\nobj17 = cls17.A()\nalias17 = obj17",
        there="obj17.up()\nnew17 = type(obj17)()",
        after="alias17.x == [1, 2] and type(new17) is cls17.A",
    ),
    Case(
        id="C17 function of a module that reads a data file beside it",
        here=_WRITE + "put('res17/__init__.py', 'import json, pathlib\\n"
        'def load(): return json.loads((pathlib.Path(__file__).parent / "d.json").read_text())\\n\')\n'
        "put('res17/d.json', '{\"a\": 1}')\nimport res17",
        there="r = res17.load()",
        after="r == {'a': 1}",
    ),
    Case(
        id="C17 library changed here",
        here="import textwrap\nkept17 = textwrap.fill\ntextwrap.fill = lambda text, **_: 'mine'",
        there="r = textwrap.fill('a b')",
        after="assert r == 'a b'\ntextwrap.fill = kept17",
        here_differs="a library's module travels as a name: what the notebook changed inside it stays here",
    ),
    Case(
        id="C17 submodule through its package",
        here="import xml.dom.pulldom, wsgiref.headers\ndef h17(): return wsgiref.headers.Headers([])",
        there="r = xml.dom.pulldom.START_ELEMENT, str(h17())",
        after="r[0] == 'START_ELEMENT' and r[1].strip() == ''",
    ),
    Case(
        id="C17 library changed there",
        there="import textwrap\nbefore17 = textwrap.dedent\ntextwrap.dedent = lambda text: 'theirs'\n"
        "r = textwrap.dedent('x')\ntextwrap.dedent = before17\ndel before17",
        after="r == 'theirs'",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


def test_an_editable_install_travels_as_files(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C17: a package installed from a folder, outside the notebook's own, is imported as it is now."""
    source, site = tmp_path / "src", tmp_path / "site"
    (source / "edit17").mkdir(parents=True)
    (source / "edit17" / "__init__.py").write_text("def f(): return 1\n")
    info = site / "edit17-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edit17\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}')
    (info / "RECORD").write_text("edit17.pth,,\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site), str(source)])
    run_remotely(shell, Case(id="", here="import edit17", there="r = edit17.f()", after="r == 1"))
    (source / "edit17" / "__init__.py").write_text("def f(): return 222\n")
    run_remotely(shell, Case(id="", there="import edit17\nr = edit17.f()", after="r == 222"))
