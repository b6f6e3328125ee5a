"""Whatever people write, it is read or refused in one line: magics, sizes, recipes, requirements, paths."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError

from jupyter_ext.arguments import CellOptions, parse_cell, parse_line
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.resources import parse_duration, parse_gpu, parse_size
from kernel_bridge.sdk.requirements_file import read_requirements
from remote_runtime.images.environment import plan_environment
from remote_runtime.images.files import unpack
from remote_runtime.images.requirements import exact_pins, requirement_name
from remote_runtime.volumes.paths import parts_of, walking

WORDS = st.sampled_from(
    ["A100", "H100:8", "any", "cpu", "--in", "--out", "--leave", "a,b", "--image", "--volume", "m:/m:ro", "--secret",
     "--cpu", "-1", "1e999", "nan", "--memory", "16G", "--timeout", "30m", "--idle", "--session", "--quiet", "--", "-h",
     "--dry-run", "--help", "=", "--in=", "'", '"', "(", "]", "\\", "%", "{", "--memory=" + "9" * 400,
     "H100:²", "１６G"]
)  # fmt: skip
LINES = st.one_of(st.text(), st.lists(st.one_of(WORDS, st.text(max_size=8))).map(" ".join))
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = st.sampled_from(
    ["pip_install", "uv_pip_install", "index", "env", "workdir", "add_local_file", "add_local_dir",
     "add_local_python_source", "run_commands", ""]
)  # fmt: skip
ARGS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "six==1.17.0",
            "/a",
            "../x",
            "",
            "a/../../b",
            "--index-url=x",
            "K=V",
            "eJwDAAAAAAE=",
            "\0",
            "a\ud800",
            "/",
            "~",
        ]
    ),
)
RECIPES = st.builds(
    ImageRecipe,
    base=st.one_of(st.sampled_from(["notebook", "debian_slim"]), st.text(max_size=10)),
    python=st.one_of(st.sampled_from(["", "3.11", "3.99", "3.x"]), st.text(max_size=5)),
    steps=st.lists(st.builds(Step, kind=KINDS, args=st.lists(ARGS, max_size=4).map(tuple)), max_size=3).map(tuple),
)


@given(LINES)
@example("--in 'a")
@example("--cpu -- --memory")
@example("A100 " * 200)
@MANY
def test_any_line_of_a_cell_is_options_or_a_usage_error(line: str) -> None:
    """Nothing else comes out of the parser, not even where argparse would print and exit."""
    try:
        assert isinstance(parse_cell(line), CellOptions)
    except UsageError as error:
        assert str(error)


@given(LINES)
@MANY
def test_any_line_of_an_expression_is_options_and_code_or_a_usage_error(line: str) -> None:
    """What is left over is the expression, as it stood in the line."""
    try:
        options, expression = parse_line(line)
    except UsageError as error:
        assert str(error)
    else:
        assert isinstance(options, CellOptions) and expression and expression in line


@given(LINES)
@MANY
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    """Cards, sizes and times; what comes out is finite."""
    for read in (parse_gpu, parse_size, parse_duration):
        try:
            value = read(text)
        except CellburstError as error:
            assert str(error)
        else:
            assert value == value and value not in (float("inf"), float("-inf"))


@given(RECIPES)
@MANY
def test_any_recipe_is_a_plan_or_refused(recipe: ImageRecipe) -> None:
    """Before anything is built, and no file of it leaves its folder."""
    try:
        plan = plan_environment(recipe, kernel=(), default_python="3.11", notebook_constraints=())
        assert len(plan.digest("/python")) == 64
    except CellburstError as error:
        assert str(error)
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "files")
        for files in (*plan.files, *plan.sources):
            try:
                assert unpack(files, root).resolve().is_relative_to(root)
            except CellburstError as error:
                assert str(error)
        assert {path.name for path in Path(name).iterdir()} <= {"files"}


@given(st.text(), st.lists(ARGS, max_size=5))
@MANY
def test_any_requirements_are_read_or_refused(text: str, pins: list[str]) -> None:
    """A requirements file of the user's, and the pins of a layer that anyone may send."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "requirements.txt")
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            read_requirements(file)
        except CellburstError as error:
            assert str(error)
    try:
        exact_pins(pins, lambda _requirement: True)
        [requirement_name(pin) for pin in pins]
    except CellburstError as error:
        assert str(error)


@given(st.one_of(st.text(), st.lists(st.sampled_from(["..", ".", "", "a", "link", "\0", "x" * 300])).map("/".join)))
@MANY
def test_any_path_stays_in_its_volume(path: str) -> None:
    """It is made below the root, or refused; a link on the way is not followed."""
    with tempfile.TemporaryDirectory() as name:
        root, outside = Path(name, "root"), Path(name, "outside")
        root.mkdir()
        outside.mkdir()
        (root / "link").symlink_to(outside)
        try:
            with walking(root) as walk:
                walk.enter(parts_of(path), make=True)
        except CellburstError as error:
            assert str(error)
        assert list(outside.iterdir()) == []
        assert {entry.name for entry in Path(name).iterdir()} == {"root", "outside"}


@pytest.mark.parametrize("text", ["9" * 5000, "1" + "0" * 400 + "G", "٣", "1e5", "-1", "nan", "inf"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """Too long for a number, of another alphabet, or not finite."""
    for read in (parse_size, parse_duration):
        with pytest.raises(CellburstError):
            read(text)
