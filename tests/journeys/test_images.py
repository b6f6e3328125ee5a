"""Images of every kind that a runtime of processes can build, and what it says of the others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.cli.main import main
from tests.state.conftest import config, shell  # noqa: F401 - fixtures

COMMAND = "cellburst runtime serve --provider docker"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def notebook(
    shell: InteractiveShell,  # noqa: F811 - the fixture above
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> InteractiveShell:
    """A notebook whose folder is the test's own; it has `Image`."""
    monkeypatch.chdir(tmp_path)
    shell.run_cell("from cellburst import Image, Secret").raise_error()
    return shell


def ran(notebook: InteractiveShell, cell: str) -> object:
    """Run a cell; what it raised is raised here."""
    result = notebook.run_cell(cell)
    result.raise_error()
    return result.result


def test_every_pure_step_works(notebook: InteractiveShell, tmp_path: Path) -> None:
    """Packages, variables, a directory, files and modules are there for a cell, copied or mounted."""
    (tmp_path / "a.txt").write_text("from a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.txt").write_text("from a folder")
    (tmp_path / "mine_for_images.py").write_text("WHERE = 'a module'")
    ran(
        notebook,
        "image = (Image.debian_slim().uv_pip_install('xxhash').env({'GREETING': 'hello $HOME'}).workdir('/srv/here')\n"
        " .add_local_file('a.txt', '/srv/a.txt', copy=True).add_local_dir('folder', '/srv/folder')\n"
        " .add_local_python_source('mine_for_images', copy=True))\n"
        "with image.imports():\n    import mine_for_images as mine",
    )
    cell = (
        "%%gpu A100 --image image\nimport os, xxhash\nfrom pathlib import Path\n"
        "[os.environ['GREETING'], os.getcwd(), Path('/srv/a.txt').read_text(), Path('/srv/folder/b.txt').read_text()]"
    )
    assert ran(notebook, cell) == ["hello $HOME", "/srv/here", "from a file", "from a folder"]


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("Image.from_registry('ubuntu:24.04', add_python='3.11')", "`Image.from_registry`"),
        ("Image.micromamba()", "`Image.micromamba`"),
        ("Image.from_dockerfile('Dockerfile')", "`Image.from_dockerfile`"),
        ("Image.debian_slim().apt_install('git')", "`apt_install`"),
        ("Image.debian_slim().run_commands('true')", "`run_commands`"),
        ("Image.debian_slim().dockerfile_commands('RUN true')", "`dockerfile_commands`"),
        ("Image.debian_slim().entrypoint(['/init'])", "`entrypoint`"),
    ],
)
def test_what_needs_an_engine_is_said_before_anything_starts(
    notebook: InteractiveShell, tmp_path: Path, image: str, names: str
) -> None:
    """One line names the step and the command that starts a runtime which can; no container was asked for."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    error = notebook.run_cell(f"%%gpu A100 --image {image}\n1").error_in_exec
    assert type(error).__name__ == "BadImage"
    assert names in str(error)
    assert COMMAND in str(error)
    assert "\n" not in str(error)


@pytest.mark.slow
def test_a_locked_project_is_there(notebook: InteractiveShell, tmp_path: Path) -> None:
    """The container has what uv.lock says, not the newest; so has one from pyproject.toml, or requirements."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six<1.17"]\n'
    )
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    asked = [ran_image(notebook, "pip_install_from_pyproject('pyproject.toml')")]
    asked.append(ran_image(notebook, "pip_install_from_requirements('requirements.txt')"))
    ran(notebook, "from uv import find_uv_bin")
    subprocess.run([str(ran(notebook, "find_uv_bin()")), "lock"], check=True, cwd=tmp_path, capture_output=True)
    asked.append(ran_image(notebook, "uv_sync('.')"))
    assert asked == ["1.16.0"] * 3


def ran_image(notebook: InteractiveShell, call: str) -> object:
    """Return the version of six in an image made by a call."""
    return ran(notebook, f"%%gpu A100 --image Image.debian_slim().{call}\nimport six\nsix.__version__")


@pytest.mark.slow
def test_a_forced_build_is_a_build(notebook: InteractiveShell) -> None:
    """Each time the line runs there is a new environment; one image that is used twice is built once."""
    ran(notebook, "forced = [Image.debian_slim().pip_install('six', force_build=True) for _ in range(2)]")
    where = [ran(notebook, f"%%gpu A100 --image forced[{n}]\nimport six\nsix.__file__") for n in (0, 1, 0)]
    assert where[0] == where[2] != where[1]


@pytest.mark.slow
def test_imports_of_an_image_become_its_modules(notebook: InteractiveShell) -> None:
    """A name bound in the block is the real thing in a cell that runs in the image, and a stand-in stays here."""
    ran(notebook, "image = Image.debian_slim().pip_install('toolz')")
    ran(notebook, "with image.imports():\n    import toolz\n    from toolz import compose")
    assert ran(notebook, "%%gpu A100 --image image\ncompose(len, list)(toolz.concat([[1], [2, 3]]))") == 3
    error = notebook.run_cell("toolz.concat").error_in_exec
    assert "only in the image" in str(error)


def test_the_command_line_lists_exports_and_forgets(
    notebook: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a cell had built is there by the first digits of its digest; what is exported works without us."""

    def said(*command: str) -> str:
        capsys.readouterr()
        assert main(["image", *command]) == 0
        return capsys.readouterr().out

    (tmp_path / "a.txt").write_text("from a file")
    ran(notebook, "shown = Image.debian_slim().uv_pip_install('xxhash').add_local_file('a.txt', '/srv/a.txt')")
    ran(notebook, "%%gpu A100 --image shown --session shown\n1")
    digest = str(ran(notebook, "shown.digest[:12]"))
    assert f"{digest}  ready" in said("ls")
    assert "Image.debian_slim(" in said("inspect", digest)
    assert "xxhash" in said("logs", digest)
    assert re.search(r"^xxhash==\d", said("export", digest, "--lock"), re.MULTILINE)
    said("export", digest, "--dockerfile", "-o", "out")
    assert (tmp_path / "out/Dockerfile").read_text().endswith('COPY [".cellburst/1/file", "/srv/a.txt"]\n')
    assert (tmp_path / "out/.cellburst/1/file").read_text() == "from a file"
    assert main(["image", "rm", digest]) == 1
    assert "has this image" in capsys.readouterr().err
    ran(notebook, "%gpu_reset shown")
    assert "is forgotten" in said("rm", digest)
    assert digest not in said("ls")
    assert "0 layers removed" in said("prune")
