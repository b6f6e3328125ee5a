"""The image builder: immutable, with Modal's words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.wire import from_wire, to_wire
from kernel_bridge.sdk.image import Image

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_each_method_returns_a_new_image() -> None:
    """The old image is still good, and equal recipes are equal images."""
    base = Image.debian_slim("3.12")
    more = base.pip_install("numpy")
    assert base.recipe.steps == ()
    assert more == Image.debian_slim("3.12.4").pip_install("numpy")
    assert more.digest != base.digest


def test_the_notebook_image_has_the_notebooks_python() -> None:
    """Both bases take the running minor version unless told another."""
    assert Image.from_notebook().recipe == ImageRecipe("notebook", MINOR)
    assert Image.debian_slim().recipe == ImageRecipe("debian_slim", MINOR)


def test_packages_are_a_set() -> None:
    """Lists are taken as Modal takes them, and order does not make another image."""
    assert Image.debian_slim().pip_install("b", ["a", "c"]) == Image.debian_slim().pip_install("c", "b", "a")
    assert Image.debian_slim().pip_install() == Image.debian_slim()


def test_index_options_stand_before_their_step() -> None:
    """They hold for the one install they were given to."""
    image = Image.debian_slim().pip_install("torch", index_url="https://example.org/cpu", pre=True)
    expected = (Step("index", ("--index-url=https://example.org/cpu", "--pre")), Step("pip_install", ("torch",)))
    assert image.recipe.steps == expected


@pytest.mark.parametrize("package", ["", " ", "--index-url=x", "-e ."])
def test_an_option_is_not_a_package(package: str) -> None:
    """What pip would read as an option is refused."""
    with pytest.raises(BadImage, match="is not a package"):
        Image.debian_slim().pip_install(package)


def test_a_password_in_a_url_is_refused() -> None:
    """Recipes are shown and stored."""
    with pytest.raises(BadImage, match="password"):
        Image.debian_slim().pip_install("mine", index_url="https://me:hidden@example.org/simple")


def test_a_requirements_file_is_read(tmp_path: Path) -> None:
    """Comments go, files that are included come in, indexes are kept."""
    (tmp_path / "more.txt").write_text("scipy>=1.10\n")
    file = tmp_path / "requirements.txt"
    file.write_text('# head\n-r more.txt\nnumpy==2.0 ; python_version > "3.8"  # why\n-i https://example.org/simple\n')
    image = Image.debian_slim().pip_install_from_requirements(file)
    assert image.recipe.steps == (
        Step("index", ("--index-url=https://example.org/simple",)),
        Step("pip_install", ('numpy==2.0 ; python_version > "3.8"', "scipy>=1.10")),
    )


@pytest.mark.parametrize("line", ["-e .", "--no-binary :all:", "numpy==2.0 --hash=sha256:00"])
def test_a_requirements_line_that_cannot_be_kept_is_named(tmp_path: Path, line: str) -> None:
    """Nothing of a requirements file is dropped in silence."""
    (tmp_path / "requirements.txt").write_text(line)
    with pytest.raises(BadImage, match=r"requirements\.txt: "):
        Image.debian_slim().pip_install_from_requirements(tmp_path / "requirements.txt")


def test_a_requirements_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error has its path."""
    with pytest.raises(BadImage, match=r"nowhere\.txt"):
        Image.debian_slim().pip_install_from_requirements(tmp_path / "nowhere.txt")


def test_variables_and_directory() -> None:
    """They are steps like any other; their order within one call does not matter."""
    image = Image.debian_slim().env({"B": "2", "A": "1"}).workdir("/work")
    assert image.recipe.steps == (Step("env", ("A=1", "B=2")), Step("workdir", ("/work",)))
    with pytest.raises(BadImage, match="absolute"):
        Image.debian_slim().workdir("work")
    with pytest.raises(BadImage, match="NO NAME"):
        Image.debian_slim().env({"NO NAME": "x"})


def test_files_travel_by_content(tmp_path: Path) -> None:
    """The recipe changes when the file does."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    before = Image.debian_slim().add_local_file(file, "/data/")
    assert before.recipe.steps[0].args[:2] == ("/data/a.txt", "")
    file.write_text("two")
    assert Image.debian_slim().add_local_file(file, "/data/") != before


def test_a_folder_leaves_caches_behind(tmp_path: Path) -> None:
    """What is ignored is not in the recipe."""
    for name in ("a.txt", "sub/b.txt", "sub/c.log", "__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    step = Image.debian_slim().add_local_dir(tmp_path, "/data", ignore=["*.log"]).recipe.steps[0]
    assert step.args[1::2] == ("a.txt", "sub/b.txt")


def test_too_many_bytes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """A recipe is not a volume."""
    (tmp_path / "big").write_bytes(bytes(2 << 20))
    with pytest.raises(BadImage, match="volume"):
        Image.debian_slim().add_local_file(tmp_path / "big", "/big")


@pytest.mark.parametrize("remote", ["relative/path", "/up/../there"])
def test_a_remote_path_is_absolute(tmp_path: Path, remote: str) -> None:
    """Anything else would land somewhere unexpected."""
    (tmp_path / "a").write_text("")
    with pytest.raises(BadImage, match="remote path"):
        Image.debian_slim().add_local_file(tmp_path / "a", remote)


def test_local_modules_travel_as_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module is a file, a package is its folder."""
    (tmp_path / "packed").mkdir()
    for name in ("single_one.py", "packed/__init__.py", "packed/part.py"):
        (tmp_path / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    step = Image.debian_slim().add_local_python_source("packed", "single_one").recipe.steps[0]
    assert step.args[0] == ""
    assert step.args[1::2] == ("packed/__init__.py", "packed/part.py", "single_one.py")


def test_a_recipe_survives_the_wire() -> None:
    """What the runtime reads has the same digest."""
    recipe = Image.debian_slim().pip_install("numpy").env({"A": "1"}).recipe
    assert from_wire(ImageRecipe, to_wire(recipe)).digest == recipe.digest


def test_it_shows_its_recipe_without_values_of_variables() -> None:
    """Both forms name every step; HTML is escaped."""
    image = Image.debian_slim("3.12").pip_install("numpy<2").env({"KEY": "hidden"})
    assert repr(image) == "Image.debian_slim('3.12').pip_install('numpy<2').env(KEY)"
    assert "numpy&lt;2" in image._repr_html_()
    assert "hidden" not in repr(image) + image._repr_html_()
