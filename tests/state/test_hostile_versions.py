"""Other versions (U6, U10): the notebook and its image differ, and what mends that is said before a value is lost."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.skew import skew
from kernel_bridge.codecs.absent import Absent
from remote_runtime.agent.versions import installed


def test_a_package_too_far_apart_is_told_with_what_mends_it() -> None:
    """At the handshake: one line for each, with both ways on; what is near enough is not told."""
    (line,) = skew({"numpy": "1.26.4", "pandas": __import__("pandas").__version__})
    assert "the image has numpy 1.26.4" in line
    assert f'`.pip_install("numpy=={np.__version__}")`' in line
    assert "`%pip install numpy==1.26.4`" in line
    assert skew(installed()) == []


def test_versions_are_read_from_the_names_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first on the path counts, as for imports; nothing is imported or parsed."""
    for place, version in (("a", "1.26.4"), ("b", "2.4.6")):
        (tmp_path / place / f"numpy-{version}.dist-info").mkdir(parents=True)
        (tmp_path / place / "scikit_learn-1.5.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path / "a"), str(tmp_path / "b")])
    assert installed() == {"numpy": "1.26.4", "scikit-learn": "1.5.0"}


def test_what_this_side_lacks_is_told_with_its_version() -> None:
    """A class that another version of a package has."""
    error = Absent("numpy._core.later", "Thing", AttributeError("x"), in_container=False)
    assert str(error) == f"it needs numpy._core.later.Thing, which numpy {np.__version__} does not have"
    gone = ModuleNotFoundError("No module named 'nowhere'", name="nowhere")
    there = str(Absent("nowhere.part", "Thing", gone, in_container=True))
    assert there == "it needs the package nowhere, which is not installed in the container; add it to the image"
    assert "not installed here; install it" in str(Absent("nowhere.part", "Thing", gone, in_container=False))


def test_a_value_of_a_package_that_is_not_there_is_told_by_name(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell that needs it does not run; one that does not touch it runs."""
    module = types.ModuleType("only_here")
    module.Thing = type("Thing", (), {"__module__": "only_here"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", module)
    shell.user_ns["thing"] = module.Thing()
    error = shell.run_cell("%%gpu A100\nkind = type(thing)").error_in_exec
    assert "thing could not be rebuilt in the container: it needs the package only_here" in str(error)
    shell.run_cell("%%gpu A100\nfree = 'thing' in globals()").raise_error()
    assert shell.user_ns["free"]
    del shell.user_ns["thing"]


def test_a_value_of_a_package_that_is_only_there_says_what_to_do_here(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image cannot mend what the notebook lacks."""
    cell = (
        "import sys, types\nmade = types.ModuleType('only_there')\n"
        "made.Thing = type('Thing', (), {'__module__': 'only_there'})\n"
        "sys.modules['only_there'] = made\nodd = made.Thing()\ndel made"
    )
    shell.run_cell(f"%%gpu A100\n{cell}").raise_error()
    said = capsys.readouterr().out
    assert "odd did not come home: it needs the package only_there, which is not installed here; install it" in said
    assert "the image" not in said
    shell.run_cell("%%gpu A100\nkind = type(odd).__module__").raise_error()
    assert shell.user_ns["kind"] == "only_there"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="numpy 1.26 has no wheels for it")
def test_an_image_with_an_older_numpy_says_so_before_a_value_is_lost(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first cell of the session tells it; the value that does not travel names both versions."""
    shell.run_cell("import cellburst as cb, numpy as np\nold = cb.Image.debian_slim().pip_install('numpy==1.24.4')")
    shell.run_cell("%%gpu A100 --image old\nimport numpy\nv = numpy.__version__").raise_error()
    assert shell.user_ns["v"] == "1.24.4"
    assert "the image has numpy 1.24.4, this notebook" in capsys.readouterr().out
    shell.run_cell("values = np.random.default_rng(1)").raise_error()
    error = shell.run_cell("%%gpu A100 --image old\nvalues.random()").error_in_exec
    assert "numpy 1.24.4" in str(error)
    assert f"numpy=={np.__version__}" in str(error)
