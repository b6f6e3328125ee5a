"""The notebook's story, cell by cell: `make demo` as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Story:
    """The executed notebook, its folder, and the account that was printed."""

    notebook: Any
    folder: Path
    account: str

    def cell(self, name: str) -> Any:
        """Return the cell of this id."""
        return next(cell for cell in self.notebook.cells if cell.id == name)

    def text(self, name: str) -> str:
        """Return what a cell printed."""
        return "".join(output.text for output in self.cell(name).outputs if output.output_type == "stream")

    def result(self, name: str) -> str:
        """Return the plain text of a cell's `Out[n]`."""
        results = [output for output in self.cell(name).outputs if output.output_type == "execute_result"]
        assert len(results) == 1
        return str(results[0].data["text/plain"])

    def footer(self, name: str) -> dict[str, Any]:
        """Return the metadata of a cell's footer, which is its last output."""
        mark = self.cell(name).outputs[-1].metadata["cellburst"]
        assert mark["footer"]
        return dict(mark)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the demo once; a cell that fails fails here, with its traceback."""
    folder = tmp_path_factory.mktemp("demo") / "into"
    command = [sys.executable, str(ROOT / "notebooks" / "demo"), "--into", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Story(nbformat.read(folder / "01-first-cell.ipynb", as_version=4), folder, done.stdout)


def test_training_streams_its_progress(story: Story) -> None:
    """Every epoch's line arrives, in order."""
    lines = story.text("train").splitlines()
    assert [line.split()[1] for line in lines] == [str(epoch) for epoch in range(1, 13)]


def test_the_figure_is_under_the_cell(story: Story) -> None:
    """What matplotlib drew in the container is shown in the notebook."""
    assert any("image/png" in output.get("data", {}) for output in story.cell("train").outputs)


def test_the_first_cell_ran_cold_on_a_simulated_card(story: Story) -> None:
    """The footer says where, that the card is simulated, and what was waited for."""
    footer = story.footer("train")
    assert (footer["card"], footer["simulated"]) == ("A100", True)
    assert footer["cold_s"] > 0
    assert not footer["woke"]
    assert footer["shipped_bytes"] > 0


def test_a_local_cell_uses_the_result(story: Story) -> None:
    """The model is an ordinary object, and the list the function appended to has grown in place."""
    assert story.result("use").endswith("digits it had never seen'")


def test_the_second_cell_is_warm(story: Story) -> None:
    """It runs in the same session and container, and waits for nothing."""
    first, second = story.footer("train"), story.footer("files")
    assert (second["session"], second["container"]) == (first["session"], first["container"])
    assert second["cold_s"] == 0


def test_files_travel_both_ways(story: Story) -> None:
    """labels.csv was read there, report.md came home; the footer says so."""
    footer = story.footer("files")
    assert "labels.csv" in footer["files_in"]
    assert "report.md" in footer["files_out"]
    assert "| seven |" in (story.folder / "report.md").read_text()


def test_a_large_value_stays_as_a_handle(story: Story) -> None:
    """The notebook shows what it stands for, and any other use says what to do."""
    assert "6735" in story.result("handle")
    assert "augmented" in story.text("handle-use")
    assert "augmented.fetch()" in story.text("handle-use")


def test_the_container_idled_away_and_woke_with_its_state(story: Story) -> None:
    """Another container, the same session: the remote array, the volume and the secret are there."""
    before, after = story.footer("augment"), story.footer("wake")
    assert after["session"] == before["session"]
    assert after["container"] != before["container"]
    assert after["woke"]
    assert story.result("wake") == "(6735, 64)"


def test_what_the_woken_state_taught_came_home(story: Story) -> None:
    """The scores computed from remote data are in the notebook."""
    assert story.text("compare").startswith("digits moved by one pixel")


def test_another_package_keeps_the_session(story: Story) -> None:
    """A cell that imports one package more goes on in its session, with its names."""
    first, second = story.footer("components"), story.footer("picture")
    assert second["session"] == first["session"]
    assert second["container"] == first["container"]
    assert first["session"] != story.footer("train")["session"]
    assert any("image/png" in output.get("data", {}) for output in story.cell("picture").outputs)


@pytest.mark.parametrize(
    "said",
    [
        "simulated",
        "woke",
        "idle",
        "active",
        "sandboxed" if os.geteuid() == 0 else "confined",
        "components",
        "picture",
        "total",
    ],
)
def test_the_account_says(story: Story, said: str) -> None:
    """The printed account names cards, waiting, idleness, isolation and money."""
    assert said in story.account
