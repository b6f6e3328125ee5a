"""From a recipe to a plan."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace

import pytest

from kernel_bridge.errors import BadImage, BadRequest
from kernel_bridge.protocol.images import ImageRecipe, Step
from remote_runtime.images.environment import EnvironmentPlan, plan_environment
from remote_runtime.images.files import FileSet
from remote_runtime.images.kernel_packages import KERNEL_PACKAGES, closure_pins, kernel_pins
from remote_runtime.images.requirements import exact_pins

KERNEL = ("ipykernel==7.4.0", "xxhash==4.0")


def plan(*steps: Step, base: str = "debian_slim", python: str = "3.11") -> EnvironmentPlan:
    recipe = ImageRecipe(base, python, steps)
    return plan_environment(recipe, kernel=KERNEL, default_python="3.11", notebook_constraints=("tornado==6.5",))


def content(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def test_a_plain_notebook_holds_the_kernel_at_our_versions() -> None:
    """Packages come as layers, so what is there must be the notebook's versions too."""
    (install,) = plan(base="notebook").installs
    assert install.requirements == KERNEL
    assert "tornado==6.5" in install.constraints
    assert "tornado==6.5" not in plan(base="notebook", python="3.12").installs[0].constraints


def test_each_install_step_keeps_the_kernel() -> None:
    """A later step cannot replace the kernel's packages unnoticed."""
    first, second = plan(Step("pip_install", ("numpy",)), Step("uv_pip_install", ("scipy",))).installs
    assert first.requirements == ("numpy", *KERNEL)
    assert second.requirements == ("scipy", *KERNEL)


def test_a_pin_of_the_recipe_wins_over_ours() -> None:
    """It stays within what our kernel host knows."""
    (install,) = plan(Step("pip_install", ("ipykernel==7.2.0",))).installs
    assert install.requirements == ("ipykernel==7.2.0", "xxhash==4.0")
    assert "ipykernel>=7.1,<8" in install.constraints


def test_index_options_hold_for_one_step() -> None:
    """The step after it looks where the host looks."""
    index = Step("index", ("--index-url=https://example.org", "--pre"))
    first, second = plan(index, Step("pip_install", ("a",)), Step("pip_install", ("b",))).installs
    assert (first.index.index_url, first.index.pre) == ("https://example.org", True)
    assert second.index.index_url == ""


def test_variables_and_files_do_not_make_another_environment() -> None:
    """They are set and mounted; the virtual environment is shared."""
    plain = plan(Step("pip_install", ("a",)))
    dressed = plan(
        Step("pip_install", ("a",)),
        Step("env", ("A=1=2",)),
        Step("workdir", ("/work",)),
        Step("add_local_file", ("/data/a", "", content(b"x"))),
        Step("add_local_python_source", ("", "m.py", content(b"y"))),
    )
    assert dressed.digest("/python") == plain.digest("/python")
    assert replace(plain, python="3.12").digest("/python") != plain.digest("/python")
    assert (dressed.env, dressed.workdir) == ({"A": "1=2"}, "/work")
    assert dressed.files == (FileSet("/data/a", (("", b"x"),)),)
    assert dressed.sources == (FileSet("", (("m.py", b"y"),)),)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (Step("run_commands", ("ls",)), "run_commands"),
        (Step("pip_install", ("--index-url=x",)), "is not a package"),
        (Step("index", ("--target=/",)), "no index option"),
        (Step("index", ("--find-links=/a,/b",)), "one place at a time"),
        (Step("env", ("NO NAME=1",)), "environment variable"),
        (Step("workdir", ("relative",)), "absolute"),
        (Step("add_local_dir", ("/data", "../up", content(b""))), "leaves the folder"),
        (Step("add_local_dir", ("/data", "/etc/passwd", content(b""))), "leaves the folder"),
        (Step("add_local_file", ("/a/../b", "", content(b""))), "must be absolute"),
        (Step("add_local_file", ("/a", "", "not content")), "cannot be read"),
        (Step("add_local_file", ("/a", "", content(bytes(3 << 20)))), "volume"),
        (Step("add_local_file", ("/a", "")), "wants a remote path"),
    ],
)
def test_a_recipe_that_can_never_build_is_refused(step: Step, says: str) -> None:
    """Before anything is started, with a line that names the step."""
    with pytest.raises(BadImage, match=says):
        plan(step)


@pytest.mark.parametrize(("base", "python"), [("alpine", "3.11"), ("notebook", "3.11; rm"), ("notebook", "2.7")])
def test_an_unknown_base_or_python_is_refused(base: str, python: str) -> None:
    """Neither reaches a command line."""
    with pytest.raises(BadImage):
        plan(base=base, python=python)


def test_exactness_decides_whether_the_cache_may_answer() -> None:
    """`numpy` means the newest there is; `numpy==2.0` means what it says."""
    assert plan(Step("pip_install", ("numpy==2.0",))).installs[0].is_exact
    assert not plan(Step("pip_install", ("numpy",))).installs[0].is_exact


def test_pins_lose_labels_that_only_a_local_wheel_has() -> None:
    """And the caller learns that it is another build."""
    assert exact_pins(["torch==2.13.0+cpu"], lambda *_: False) == (("torch==2.13.0",), True)
    assert exact_pins(["torch==2.13.0+cpu"], lambda *wheel: wheel == ("torch", "2.13.0+cpu")) == (
        ("torch==2.13.0+cpu",),
        False,
    )
    assert exact_pins(["b==2", "A==1"], lambda *_: False) == (("A==1", "b==2"), False)


@pytest.mark.parametrize("text", ["numpy", "numpy>=2", "-r x", "./folder", "a @ file:///etc", "a==1 --pre", "a==*"])
def test_a_layer_takes_exact_versions_only(text: str) -> None:
    """Nothing that could mean another thing tomorrow, or a path of this host."""
    with pytest.raises(BadRequest, match="exact version"):
        exact_pins([text], lambda *_: False)


def test_the_kernels_pins_are_those_installed_here() -> None:
    """Every one of them exact, and their dependencies with them."""
    assert [pin.partition("==")[0] for pin in kernel_pins()] == list(KERNEL_PACKAGES)
    assert set(kernel_pins()) <= set(closure_pins(KERNEL_PACKAGES))
    assert any(pin.startswith("ipython==") for pin in closure_pins(["ipykernel"]))
