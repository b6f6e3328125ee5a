"""A recipe as a Dockerfile: the files in `golden/` are what is written for each of these.

After a change that is meant: `REGOLD=1 pytest` this file, and read the difference.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.wire import from_wire, to_wire
from kernel_bridge.sdk.image import Image
from kernel_bridge.sdk.secret import Secret
from remote_runtime.images.dockerfile import build_context, dockerfile_text
from tests.unit.images.golden import recipes

GOLDEN = Path(__file__).parent / "golden"
RECIPES: dict[str, Callable[[Path], Image]] = {
    name: made
    for name, made in vars(recipes).items()
    if callable(made) and not name.startswith("_") and getattr(made, "__module__", "") == recipes.__name__
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_text_is_the_golden_one(name: str, tmp_path: Path) -> None:
    """Order, quoting and the forms of instructions, for the classic builder; what came over the wire is the same."""
    image = RECIPES[name](tmp_path)
    text = dockerfile_text(from_wire(ImageRecipe, to_wire(image.recipe)))
    golden = GOLDEN / f"{name}.Dockerfile"
    if os.environ.get("REGOLD"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_no_golden_file_is_left_over() -> None:
    """A recipe that goes takes its file along."""
    assert {path.stem for path in GOLDEN.glob("*.Dockerfile")} == set(RECIPES)


def test_the_context_holds_what_the_text_reads(tmp_path: Path) -> None:
    """Every file a COPY names is in the archive, which is the same for the same recipe."""
    image = recipes.files(tmp_path)
    packed = build_context(image.recipe)
    assert packed == build_context(image.recipe)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        read = {name: opened.read().decode() for name, opened in found.items() if opened}
    assert read["Dockerfile"] == dockerfile_text(image.recipe)
    assert read[".cellburst/1/file"] == "a\n"
    assert read[".cellburst/2/sub/b.txt"] == "b\n"


def test_a_persons_context_comes_with_a_persons_dockerfile(tmp_path: Path) -> None:
    """Links and the right to execute stay as they are."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")
    packed = build_context(Image.from_dockerfile(tmp_path / "Dockerfile").recipe)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getmember("run.sh").mode == 0o755
        assert archive.getmember("link").linkname == "run.sh"


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (ImageRecipe("windows", "3.11"), "no base image"),
        (ImageRecipe("registry", ""), "begins with a step `from_registry`"),
        (ImageRecipe("registry", "", (Step("from_registry", ("a b\nRUN x",)),)), "no name of an image"),
        (ImageRecipe("dockerfile", "", (Step("from_dockerfile", ("D", "!")),)), "cannot be read"),
        (ImageRecipe("debian_slim", "3.11\nRUN x"), "not a Python version"),
        (ImageRecipe("debian_slim", "3.11", (Step("unheard_of", ("x",)),)), "knows no image step `unheard_of`"),
        (ImageRecipe("debian_slim", "3.11", (Step("env", ("A=1\nRUN x",)),)), "on one line"),
        (ImageRecipe("debian_slim", "3.11", (Step("workdir", ("/a\nRUN x",)),)), "wants one value"),
        (ImageRecipe("debian_slim", "3.11", (Step("pip_install", ("--index-url=x",)),)), "is not a package"),
    ],
)
def test_a_recipe_that_no_engine_builds_is_refused(recipe: ImageRecipe, says: str) -> None:
    """What came over the wire may be anybody's; nothing of it becomes a line of its own."""
    with pytest.raises(BadImage, match=says):
        dockerfile_text(recipe)


def test_a_secret_is_a_name_in_the_text() -> None:
    """Its value is nowhere in a recipe."""
    image = Image.debian_slim("3.11").run_commands("fetch", secrets=[Secret.from_name("hf")])
    assert "of these secrets: hf\nRUN fetch\n" in dockerfile_text(image.recipe)
