"""From a recipe to what has to be installed, set and mounted: values in, values out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kernel_bridge.errors import BadImage, PythonMismatch
from kernel_bridge.protocol.images import (
    DEBIAN_SLIM,
    DOCKERFILE,
    FILE_STEPS,
    INSTALL_STEPS,
    MICROMAMBA,
    NOTEBOOK,
    REGISTRY,
    ImageRecipe,
    Step,
)
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.images.files import FileSet, read_file_set
from remote_runtime.images.kernel_packages import KERNEL_LIMITS
from remote_runtime.images.pip_config import DEFAULT_INDEX, IndexOptions
from remote_runtime.images.requirements import check_requirement, requirement_name

# Raised when the same plan would build another environment than before.
_LAYOUT: Final = 1
_MINOR: Final = re.compile(r"3\.\d{1,2}\Z")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BASES: Final = {MICROMAMBA: "micromamba", REGISTRY: "from_registry", DOCKERFILE: "from_dockerfile"}
_ENGINE_STEPS: Final = frozenset(
    {"apt_install", "run_commands", "run_function", "dockerfile_commands", "entrypoint", "micromamba_install"}
    | {"add_python", "secret"}
)
_AT_START: Final = frozenset({"env", "workdir"}) | FILE_STEPS
_PURE: Final = frozenset({"index", "force_build"}) | INSTALL_STEPS
ENGINE_COMMAND: Final = "cellburst runtime serve --provider docker"  # starts a provider that builds any image


@dataclass(frozen=True, slots=True)
class Install:
    """One `uv pip install`: what, held to which versions, from where."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    index: IndexOptions = DEFAULT_INDEX

    @property
    def is_exact(self) -> bool:
        """Tell whether an answer out of the local cache is as good as one from the index."""
        pinned = {requirement_name(pin) for pin in self.constraints if "==" in pin}
        return all("==" in item or requirement_name(item) in pinned for item in self.requirements)


@dataclass(frozen=True, slots=True)
class EnvironmentPlan:
    """A recipe, worked out."""

    python: str  # the minor version, "3.11"
    installs: tuple[Install, ...]
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = ""
    files: tuple[FileSet, ...] = ()  # to appear at their targets
    sources: tuple[FileSet, ...] = ()  # to be importable
    forced: tuple[str, ...] = ()  # words that make it another one than all before

    def digest(self, interpreter: str) -> str:
        """Return the name of the virtual environment: recipes that differ only in variables or files share one."""
        content = {
            "layout": _LAYOUT,
            "python": self.python,
            "interpreter": interpreter,
            "installs": to_wire(self.installs),
            **({"forced": self.forced} if self.forced else {}),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plan_environment(
    recipe: ImageRecipe, *, kernel: Sequence[str], default_python: str, notebook_constraints: Sequence[str] = ()
) -> EnvironmentPlan:
    """Work out a recipe; raises BadImage for one that cannot be built.

    `kernel` are the requirements of our own kernel and agent. `notebook_constraints` hold a plain notebook image to the
    versions installed beside the control plane, where both run the same Python.
    """
    if what := needs_engine(recipe):
        raise no_engine(what)
    python = recipe.python or default_python
    if not _MINOR.match(python):
        raise BadImage(f"`{recipe.python}` is not a Python version: write for example `3.11`.")
    named = {requirement_name(item) for step in recipe.steps if step.kind in INSTALL_STEPS for item in step.args}
    own = tuple(pin for pin in kernel if requirement_name(pin) not in named)
    plain = recipe.base == NOTEBOOK and not named and python == default_python
    limits = (*KERNEL_LIMITS, *notebook_constraints) if plain else KERNEL_LIMITS
    return _with_steps(recipe.steps, EnvironmentPlan(python, _installs(recipe.steps, own, limits)))


def plan_start(recipe: ImageRecipe, python: str) -> EnvironmentPlan:
    """Work out what a container of an engine's image is given when it starts: variables, a directory, files.

    Nothing is installed by it. Raises BadImage.
    """
    steps = [step for step in recipe.steps if step.kind in _AT_START]
    return _with_steps(steps, EnvironmentPlan(python, ()))


def needs_engine(recipe: ImageRecipe) -> str:
    """Return what of a recipe only a container engine can build, as a person wrote it; empty for none.

    Raises BadImage for what nobody can build.
    """
    if recipe.base in (MICROMAMBA, REGISTRY, DOCKERFILE):
        return f"`Image.{_BASES[recipe.base]}`"
    if recipe.base not in (NOTEBOOK, DEBIAN_SLIM):
        raise BadImage(f"`{recipe.base}` is no base image: use Image.from_notebook() or Image.debian_slim().")
    kinds = [step.kind for step in recipe.steps if step.kind in _ENGINE_STEPS]
    return f"`{kinds[0]}`" if kinds else ""


def check_python(ours: str, theirs: str) -> None:
    """Raise PythonMismatch when what a notebook's end pickles the image's cannot read; an empty version is any."""
    if ours and theirs and ours != theirs:
        raise PythonMismatch(
            f"The notebook runs Python {ours}, the image {theirs}: values pickled by one cannot be read by the other. "
            f'Make the image with `python_version="{ours}"`, give one of a registry `add_python="{ours}"`, or run the '
            f"notebook on Python {theirs}."
        )


def no_engine(what: str) -> BadImage:
    """Return the error where a recipe needs an engine and processes are all there is."""
    return BadImage(
        f"{what} needs a container engine, and this runtime starts processes. On a host with Docker run "
        f"`{ENGINE_COMMAND}` and `%gpu_connect` to it, or use Image.debian_slim() with packages and files."
    )


def _installs(steps: Sequence[Step], own: tuple[str, ...], limits: tuple[str, ...]) -> tuple[Install, ...]:
    """Each install step names the kernel's packages again, so that none can replace them unnoticed."""
    installs = []
    index = IndexOptions()
    for step in steps:
        if step.kind == "index":
            index = index.plus(_index_options(step.args))
        elif step.kind in INSTALL_STEPS:
            wanted = tuple(check_requirement(item) for item in step.args)
            installs.append(Install((*wanted, *own), limits, index))
            index = IndexOptions()
    return tuple(installs) or (Install(own, limits),)


def _with_steps(steps: Sequence[Step], plan: EnvironmentPlan) -> EnvironmentPlan:
    env: dict[str, str] = {}
    workdir = ""
    files: list[FileSet] = []
    sources: list[FileSet] = []
    for step in steps:
        match step.kind:
            case "env":
                env |= dict(_variable(item) for item in step.args)
            case "workdir":
                workdir = _absolute(step.args)
            case "add_local_file" | "add_local_dir" | "copy_local_file" | "copy_local_dir":
                files.append(read_file_set(step))
            case "add_local_python_source" | "copy_local_python_source":
                sources.append(read_file_set(step))
            case kind if kind in _PURE:
                pass
            case other:
                raise BadImage(f"This runtime knows no image step `{other[:80]}`.")
    forced = tuple(word for step in steps if step.kind == "force_build" for word in step.args)
    return EnvironmentPlan(plan.python, plan.installs, env, workdir, tuple(files), tuple(sources), forced)


def _index_options(arguments: Sequence[str]) -> IndexOptions:
    options = IndexOptions()
    for argument in arguments:
        name, _, value = argument.partition("=")
        options = options.plus(_one_option(name, value))
    return options


def _one_option(name: str, value: str) -> IndexOptions:
    if any(letter.isspace() or letter == "," for letter in value):
        raise BadImage(f"`{name}`: give one place at a time, without spaces or commas.")
    match name:
        case "--index-url":
            return IndexOptions(index_url=value)
        case "--extra-index-url":
            return IndexOptions(extra_index_urls=(value,))
        case "--find-links":
            return IndexOptions(find_links=(value,))
        case "--pre":
            return IndexOptions(pre=True)
        case _:
            raise BadImage(f"`{name}` is no index option: use --index-url, --extra-index-url, --find-links or --pre.")


def _variable(item: str) -> tuple[str, str]:
    name, found, value = item.partition("=")
    if not found or not _VARIABLE.match(name) or "\0" in value:
        raise BadImage(f"`{name[:80]}` is not the name of an environment variable.")
    return name, value


def _absolute(arguments: Sequence[str]) -> str:
    if len(arguments) != 1 or not arguments[0].startswith("/"):
        raise BadImage("workdir wants one absolute path.")
    return arguments[0]
