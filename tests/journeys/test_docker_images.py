"""A notebook whose image is built by a container engine, and whose cells run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import IMAGE
from tests.journeys.test_docker import Notebook, dockerd, notebook, runtime, shell  # noqa: F401 - fixtures

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """Commands of a build reach the package index as this host does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBURST_BUILD_NETWORK", "host")
        yield


def test_a_cell_runs_in_the_image_that_was_built(notebook: Notebook) -> None:  # noqa: F811
    """Commands, packages, variables, a directory and files of the recipe are there; its log is under the cell."""
    Path("note.txt").write_text("from the notebook")
    notebook.run(
        "from cellburst import Image\n"
        "image = (Image.debian_slim().run_commands('echo made > /made').pip_install('six==1.16.0')\n"
        " .env({'GREETING': 'hello'}).add_local_file('note.txt', '/srv/note.txt'))\nbefore = [1]"
    )
    notebook.run(
        "%%gpu cpu --image image\nimport os, six\nfrom pathlib import Path\nbefore.append(2)\n"
        "seen = [Path('/made').read_text(), six.__version__, os.environ['GREETING'], Path('/srv/note.txt').read_text()]"
    )
    assert notebook["seen"] == ["made\n", "1.16.0", "hello", "from the notebook"]
    assert notebook["before"] == [1, 2]


def test_a_persons_dockerfile_is_the_image(notebook: Notebook) -> None:  # noqa: F811
    """With its user, its variables and its directory; what it lacks for our agent is mounted."""
    Path("Dockerfile").write_text(
        f"FROM {IMAGE}\nRUN useradd --create-home person\nENV KIND=own\nCOPY note.txt /srv/\nUSER person\n"
    )
    notebook.run("own = Image.from_dockerfile('Dockerfile')")
    notebook.run(
        "%%gpu cpu --image own\nimport os\nkind = os.environ['KIND'], open('/srv/note.txt').read()\nimport sys\n"
        "python = sys.executable"
    )
    assert notebook["kind"] == ("own", "from the notebook")
    assert notebook["python"].startswith("/usr/")


def test_a_failing_step_is_named_under_the_cell(notebook: Notebook) -> None:  # noqa: F811
    """The last line that the command said is the error's; no session waits for the image."""
    shown = notebook.run(
        "%%gpu cpu --image Image.debian_slim().run_commands('echo the reason >&2; exit 3')\n1", ok=False
    )
    assert "exited with 3: the reason" in shown
    assert "run_commands" in shown


def test_an_image_of_another_python_or_none_is_refused(notebook: Notebook) -> None:  # noqa: F811
    """The words name what gives it one."""
    Path("empty").mkdir(exist_ok=True)
    Path("empty/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /x\n")
    shown = notebook.run("%%gpu cpu --image Image.from_dockerfile('empty/Dockerfile')\n1", ok=False)
    assert "add_python" in shown
    shown = notebook.run("%%gpu cpu --provider process --image own\n1", ok=False)
    assert "cellburst runtime serve --provider docker" in shown
