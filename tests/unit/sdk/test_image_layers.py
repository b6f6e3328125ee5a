"""The steps of an image that a container engine builds, and the files they take along."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from kernel_bridge.codecs.elsewhere import Elsewhere
from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.wire import from_wire, to_wire
from kernel_bridge.sdk.image import Image
from kernel_bridge.sdk.image_context import is_ignored
from kernel_bridge.sdk.secret import Secret

LIMIT = 3
PATH = ["/a", "b"]


def helper(times: int) -> int:
    return times * LIMIT


def prepare(where: str, times: int = 2) -> None:
    Path(where).write_text(str(helper(times)) + "".join(PATH))


def members(content: str) -> dict[str, tarfile.TarInfo]:
    """Return what is in a context."""
    with tarfile.open(fileobj=io.BytesIO(zlib.decompress(base64.b64decode(content)))) as archive:
        return {member.name: member for member in archive}


def test_every_step_of_an_engine_is_in_the_recipe() -> None:
    """One step a call, and the same over the wire."""
    image = (
        Image.from_registry("nvidia/cuda:12.8.0-runtime-ubuntu24.04", add_python="3.11")
        .apt_install("git", ["ffmpeg"])
        .run_commands("make", secrets=[Secret.from_name("hf")])
        .dockerfile_commands("RUN true", ["USER me"])
        .entrypoint(["/init", "-x"])
    )
    assert image.recipe.steps == (
        Step("from_registry", ("nvidia/cuda:12.8.0-runtime-ubuntu24.04",)),
        Step("add_python", ("3.11",)),
        Step("apt_install", ("ffmpeg", "git")),
        Step("secret", ("hf",)),
        Step("run_commands", ("make",)),
        Step("dockerfile_commands", ("", "RUN true", "USER me")),
        Step("entrypoint", ("/init", "-x")),
    )
    assert image.recipe.python == "3.11"
    assert from_wire(ImageRecipe, to_wire(image.recipe)).digest == image.digest
    assert image.recipe.label == "nvidia/cuda:12.8.0-runtime-ubuntu24.04 3.11"
    assert repr(image).startswith("Image.from_registry('nvidia/cuda:12.8.0-runtime-ubuntu24.04').add_python('3.11')")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda image: image.apt_install("git; rm -rf /"),
        lambda image: image.apt_install("--allow-downgrades"),
        lambda image: image.run_commands(""),
        lambda image: image.run_commands(3),
        lambda image: image.run_commands("x" * 100_000),
        lambda image: image.run_commands("true", secrets=["hf"]),
        lambda image: image.dockerfile_commands("FROM scratch"),
        lambda image: image.dockerfile_commands("COPY a /a", context_files={"../a": "/etc/hostname"}),
        lambda image: image.entrypoint("/bin/sh"),
        lambda image: image.workdir("/a\nRUN x"),
        lambda image: image.micromamba_install("pytorch"),
        lambda image: image.run_function(lambda: 1),
        lambda image: image.run_function(print),
        lambda image: image.run_function(prepare, args=[object()]),
        lambda _: Image.from_registry("has a space"),
        lambda _: Image.from_registry("x", add_python="two"),
        lambda _: Image.from_dockerfile("/nowhere/Dockerfile"),
        lambda _: Image.micromamba().micromamba_install("a b"),
    ],
)
def test_bad_input_is_one_clear_error(wrong: Callable[[Image], Image]) -> None:
    """Nothing of it reaches a recipe."""
    with pytest.raises(BadImage, match=r"^[^\n]{10,300}$"):
        wrong(Image.debian_slim())


def test_a_recipe_has_a_limit_of_steps() -> None:
    """An engine would refuse it after an hour."""
    image = Image(ImageRecipe("debian_slim", "3.11", (Step("env", ("A=1",)),) * 200))
    with pytest.raises(BadImage, match="200 steps"):
        image.env({"A": "1"})


def test_a_forced_step_is_another_recipe_each_time() -> None:
    """What was made from one line that ran once stays one image."""
    base = Image.debian_slim("3.11")
    one, two = (base.pip_install("six", force_build=True) for _ in range(2))
    assert len({base.pip_install("six").digest, one.digest, two.digest}) == 3
    assert repr(one) == repr(two)


def test_files_for_later_steps_are_copied(tmp_path: Path) -> None:
    """A build cannot see what only appears when a container starts; the error says the word."""
    (tmp_path / "a").write_text("a")
    copied = Image.debian_slim().add_local_file(tmp_path / "a", "/a", copy=True).run_commands("cat /a")
    assert [step.kind for step in copied.recipe.steps] == ["copy_local_file", "run_commands"]
    mounted = Image.debian_slim().add_local_file(tmp_path / "a", "/a")
    assert mounted.pip_install("six").env({"A": "1"}).recipe.steps[0].kind == "add_local_file"
    with pytest.raises(BadImage, match="copy=True"):
        mounted.run_commands("cat /a")


def test_a_functions_program_is_what_was_written(tmp_path: Path) -> None:
    """It has the functions, values and modules the function names, and does the same."""
    step = Image.debian_slim().run_function(prepare, args=[str(tmp_path / "x")], kwargs={"times": 5}).recipe.steps[0]
    assert step.args[0] == "prepare"
    subprocess.run([sys.executable, "-c", step.args[1]], check=True)
    assert (tmp_path / "x").read_text() == "15/ab"
    again = Image.debian_slim().run_function(prepare, args=[str(tmp_path / "x")], kwargs={"times": 5})
    assert again.recipe.steps[0] == step


def test_a_function_that_names_what_cannot_go_is_refused() -> None:
    """The error has the name."""
    with pytest.raises(BadImage, match="`handle`, which `opens` uses"):
        Image.debian_slim().run_function(opens)


handle = io.StringIO()


def opens() -> None:
    handle.write("x")


def test_a_dockerfile_is_its_content(tmp_path: Path) -> None:
    """Another time of change or place is the same image; another byte, name or right is another."""
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM debian\nCOPY . /x\n")
        (folder / "b.sh").write_text("x")
        digests.append(Image.from_dockerfile(folder / "Dockerfile").digest)
    assert digests[0] == digests[1]
    (tmp_path / "two/b.sh").chmod(0o755)
    assert Image.from_dockerfile(tmp_path / "two/Dockerfile").digest != digests[0]
    assert Image.from_dockerfile(tmp_path / "one/Dockerfile", build_args={"A": "1"}).digest != digests[0]


def test_a_context_follows_dockerignore(tmp_path: Path) -> None:
    """The file beside the Dockerfile wins; a Dockerfile outside its context is found."""
    for name in ("keep.txt", "no.log", "sub/no.log", "sub/yes.log", "data/big"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".dockerignore").write_text("# all of these\n**/*.log\n!sub/yes.log\ndata\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    step = Image.from_dockerfile(tmp_path / "Dockerfile").recipe.steps[0]
    assert {name for name, member in members(step.args[1]).items() if member.isfile()} == {
        ".dockerignore",
        "Dockerfile",
        "keep.txt",
        "sub/yes.log",
    }
    outside = Image.from_dockerfile(tmp_path / "Dockerfile", context_dir=tmp_path / "sub", ignore=["no*"]).recipe.steps[
        0
    ]
    assert set(members(outside.args[1])) == {".cellburst.Dockerfile", "yes.log"}
    assert outside.args[0] == ".cellburst.Dockerfile"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.log", "a.log", True),
        ("*.log", "sub/a.log", False),
        ("**/*.log", "a.log", True),
        ("**/*.log", "x/y/a.log", True),
        ("sub", "sub/deep/a", True),
        ("/sub/", "sub", True),
        ("su?", "sub", True),
        ("a[0-9]", "a5", True),
        ("a[^0-9]", "a5", False),
        ("a/**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
    ],
)
def test_patterns_fit_as_for_docker(pattern: str, path: str, fits: bool) -> None:
    """One star stays in its folder, two do not; a folder takes what is in it along."""
    assert is_ignored(path, [pattern]) is fits


def test_a_projects_dependencies_are_read(tmp_path: Path) -> None:
    """Those of optional groups only when they are named."""
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\nname="x"\ndependencies=["six", "idna>=3"]\n[project.optional-dependencies]\nt=["toml"]\n'
    )
    assert Image.debian_slim().pip_install_from_pyproject(file).recipe.steps[-1].args == ("idna>=3", "six")
    more = Image.debian_slim().pip_install_from_pyproject(file, ["t"])
    assert more.recipe.steps[-1].args == ("idna>=3", "six", "toml")
    with pytest.raises(BadImage, match="no optional dependencies `u`: there are t"):
        Image.debian_slim().pip_install_from_pyproject(file, ["u"])


def test_a_locked_project_is_its_pins(tmp_path: Path) -> None:
    """Exactly what uv locked, without the project; without a lock the error says how to make one."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname="x"\nversion="1"\nrequires-python=">=3.11"\ndependencies=["six"]\n[project.optional-dependencies]\nt=["idna"]\n'
    )
    with pytest.raises(BadImage, match="uv lock"):
        Image.debian_slim().uv_sync(tmp_path)
    (tmp_path / "uv.lock").write_text(LOCK)
    assert Image.debian_slim().uv_sync(tmp_path).recipe.steps == (Step("uv_sync", ("six==1.16.0",)),)
    more = Image.debian_slim().uv_sync(tmp_path, extras=["t"]).recipe.steps
    assert more == (Step("uv_sync", ("idna==3.4", "six==1.16.0")),)
    with pytest.raises(BadImage, match="uv cannot read the project"):
        Image.debian_slim().uv_sync(tmp_path, groups=["nowhere"])
    assert Path(find_uv_bin()).is_file()


LOCK = """version = 1
requires-python = ">=3.11"

[[package]]
name = "idna"
version = "3.4"
source = { registry = "https://example.org/simple" }

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://example.org/simple" }

[[package]]
name = "x"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "six" }]

[package.optional-dependencies]
t = [{ name = "idna" }]

[package.metadata]
requires-dist = [{ name = "six" }, { name = "idna", marker = "extra == 't'" }]
provides-extras = ["t"]
"""


def test_imports_of_what_only_the_image_has() -> None:
    """They bind stand-ins that say so, and leave no trace for who asks what is installed."""
    with Image.debian_slim().imports():
        import json

        import nowhere_at_all
        import nowhere_at_all.part as part
        from nowhere_at_all import thing
    assert json is sys.modules["json"]
    assert isinstance(nowhere_at_all, Elsewhere)
    assert isinstance(part, Elsewhere)
    assert "nowhere_at_all" not in sys.modules
    with pytest.raises(ModuleNotFoundError, match="only in the image"):
        print(nowhere_at_all.zeros)
    with pytest.raises(ModuleNotFoundError, match="thing of nowhere_at_all"):
        thing()
    with pytest.raises(ImportError), Image.debian_slim().imports():
        from json import nothing_like_that  # noqa: F401


def test_pipe_gives_the_image_to_a_function() -> None:
    """A recipe in parts reads from top to bottom."""

    def with_six(image: Image, version: str) -> Image:
        return image.pip_install(f"six=={version}")

    assert Image.debian_slim().pipe(with_six, "1.16") == Image.debian_slim().pip_install("six==1.16")
