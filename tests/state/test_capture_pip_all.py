"""State in, `%pip install` in a cell: a layer for the session, and how to declare it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.config import ClientConfig
from kernel_bridge.errors import BuildFailed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def wheels(config: ClientConfig, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Packages of our own, in a folder that the runtime's pip configuration names."""
    del config
    folder = tmp_path_factory.mktemp("wheels")
    _write_wheel(folder, "cbtiny", "1.0", "cbneeded")
    _write_wheel(folder, "cbneeded", "2.0", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield


@pytest.mark.parametrize("command", ["%pip install -q cbtiny", "!pip install cbtiny", "%pip install 'cbtiny>=1'"])
def test_packages_are_there_with_what_they_need(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """The cell goes on with the package, and has been told how to declare it."""
    shell.run_cell("%gpu_reset")
    result = shell.run_cell(f"%%gpu A100\n{command}\nfrom cbtiny import version\nversion = version()")
    assert result.success
    assert shell.user_ns["version"] == "1.0 needs 2.0"
    assert "cellburst.Image.from_notebook().pip_install('cbtiny" in capsys.readouterr().out


def test_the_next_cell_has_them_too(shell: InteractiveShell) -> None:
    """The layer belongs to the session."""
    assert shell.run_cell("%%gpu A100\nimport cbneeded\nr = cbneeded.version()\ndel cbneeded").success
    assert shell.user_ns["r"] == "2.0"


def test_a_package_that_does_not_exist_fails_the_cell(shell: InteractiveShell) -> None:
    """The cell says which, and does not go on."""
    result = shell.run_cell("%%gpu A100\n%pip install cb-no-such-package==9\nunreached = 1")
    assert isinstance(result.error_in_exec, BuildFailed)
    assert "cb-no-such-package==9" in str(result.error_in_exec)
    assert "unreached" not in shell.user_ns


@pytest.mark.parametrize("line", ["%pip install -r needs.txt", "%pip list", "%pip install", "%conda install numpy"])
def test_what_it_does_not_know_it_says(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str) -> None:
    """One line, once, and no traceback."""
    assert not shell.run_cell(f"%%gpu A100\n{line}").success
    said = capsys.readouterr()
    assert (said.out + said.err).count("UsageError") == 1
    assert "Traceback" not in said.out + said.err


def _write_wheel(folder: Path, name: str, version: str, needs: str) -> None:
    need = f"Requires-Dist: {needs}\n" if needs else ""
    text = f"import {needs}\n" if needs else ""
    told = f"'{version} needs ' + {needs}.version()" if needs else f"'{version}'"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{name}.py", f"{text}def version(): return {told}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{need}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
