"""`Image`: what a cell's container holds, as an immutable recipe with Modal's vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import DEBIAN_SLIM, DOCKERFILE, MICROMAMBA, NOTEBOOK, REGISTRY, ImageRecipe, Step
from kernel_bridge.sdk import image_checks as checks
from kernel_bridge.sdk.image_checks import Packages
from kernel_bridge.sdk.image_context import dockerfile_context, folder_context
from kernel_bridge.sdk.image_files import file_step, folder_step, source_step
from kernel_bridge.sdk.image_function import function_program
from kernel_bridge.sdk.image_imports import elsewhere_imports
from kernel_bridge.sdk.image_project import read_lock, read_pyproject
from kernel_bridge.sdk.image_steps import Steps, first_recipe
from kernel_bridge.sdk.secret import Secret

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, repr=False)
class Image(Steps):
    """A recipe. Each method returns a new image; equal recipes are the same image and are built once.

    Every method that adds to the image takes `force_build=True`: it and what comes after it are built anew, once for
    each time the line runs. `secrets` are variables of that one step's commands and are in no layer. Bad arguments
    raise BadImage.
    """

    @classmethod
    def debian_slim(cls, python_version: str | None = None, *, force_build: bool = False) -> Self:
        """Start from a plain Python, the notebook's minor version unless another is named (`3.12`)."""
        return cls(first_recipe(DEBIAN_SLIM, checks.minor(python_version), (), force_build))

    @classmethod
    def from_notebook(cls) -> Self:
        """Start from the notebook: its Python, and its packages at its versions as cells need them."""
        return cls(ImageRecipe(NOTEBOOK, checks.minor(None)))

    @classmethod
    def micromamba(cls, python_version: str | None = None, *, force_build: bool = False) -> Self:
        """Start from a conda environment with that Python; add to it with `micromamba_install`."""
        return cls(first_recipe(MICROMAMBA, checks.minor(python_version), (), force_build))

    @classmethod
    def from_registry(
        cls,
        tag: str,
        *,
        setup_dockerfile_commands: Sequence[str] = (),
        add_python: str | None = None,
        force_build: bool = False,
    ) -> Self:
        """Start from an image of a registry. It needs a Python of the notebook's minor version, or `add_python`."""
        steps = [Step("from_registry", (checks.registry_tag(tag),))]
        if setup_dockerfile_commands:
            lines = checks.commands(setup_dockerfile_commands, "RUN true")
            steps.append(Step("dockerfile_commands", ("", *lines)))
        return cls(_with_python(REGISTRY, steps, add_python, force_build))

    @classmethod
    def from_dockerfile(
        cls,
        path: str | Path,
        *,
        context_dir: str | Path | None = None,
        ignore: Sequence[str] | None = None,
        build_args: Mapping[str, str] | None = None,
        add_python: str | None = None,
        force_build: bool = False,
    ) -> Self:
        """Start from what `docker build` makes of a Dockerfile; its context is its folder unless another is named.

        `ignore` are patterns as in a `.dockerignore`, in the place of that file.
        """
        file = Path(path).expanduser()
        folder = Path(context_dir).expanduser() if context_dir is not None else file.parent
        name, context = dockerfile_context(file, folder, ignore)
        arguments = checks.variables(build_args or {}, "a build argument")
        steps = [Step("from_dockerfile", (name, context, *arguments))]
        return cls(_with_python(DOCKERFILE, steps, add_python, force_build))

    def pip_install(
        self,
        *packages: Packages,
        find_links: str | None = None,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
        force_build: bool = False,
    ) -> Self:
        """Add packages, written as for pip: `numpy`, `torch==2.13.0`, `scikit-learn>=1.6`."""
        options = checks.index_options(find_links, index_url, extra_index_url, pre)
        return self._install("pip_install", checks.flat(packages), options, force_build)

    def uv_pip_install(
        self,
        *packages: Packages,
        requirements: Sequence[str | Path] | None = None,
        find_links: str | None = None,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
        force_build: bool = False,
    ) -> Self:
        """Add packages by uv, and those of local requirements files."""
        options = checks.index_options(find_links, index_url, extra_index_url, pre)
        listed = [item for path in requirements or () for item in checks.from_file(path, options)]
        return self._install("uv_pip_install", [*checks.flat(packages), *listed], options, force_build)

    def uv_sync(
        self,
        uv_project_dir: str | Path = "./",
        *,
        groups: Sequence[str] = (),
        extras: Sequence[str] = (),
        frozen: bool = True,
        force_build: bool = False,
    ) -> Self:
        """Add what a uv project locked, at exactly those versions, without the project itself."""
        pins = read_lock(Path(uv_project_dir).expanduser(), groups=groups, extras=extras, frozen=frozen)
        return self._install("uv_sync", pins, (), force_build)

    def pip_install_from_requirements(
        self,
        requirements_txt: str | Path,
        find_links: str | None = None,
        *,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
        force_build: bool = False,
    ) -> Self:
        """Add the packages of a local requirements file, with the indexes it names."""
        options = checks.index_options(find_links, index_url, extra_index_url, pre)
        return self._install("pip_install", checks.from_file(requirements_txt, options), options, force_build)

    def pip_install_from_pyproject(
        self,
        pyproject_toml: str | Path,
        optional_dependencies: Sequence[str] = (),
        *,
        find_links: str | None = None,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
        force_build: bool = False,
    ) -> Self:
        """Add the dependencies of a local pyproject.toml, with those of some of its optional groups."""
        options = checks.index_options(find_links, index_url, extra_index_url, pre)
        packages = read_pyproject(Path(pyproject_toml).expanduser(), optional_dependencies)
        return self._install("pip_install", packages, options, force_build)

    def micromamba_install(self, *packages: Packages, channels: Sequence[str] = (), force_build: bool = False) -> Self:
        """Add conda packages to an image that began with `micromamba`."""
        if self.recipe.base != MICROMAMBA:
            raise BadImage("micromamba_install: begin with `Image.micromamba()`.")
        found = checks.conda_packages(packages, channels or ("conda-forge",))
        return self._with(Step("micromamba_install", found), force=force_build) if checks.flat(packages) else self

    def apt_install(self, *packages: Packages, force_build: bool = False) -> Self:
        """Add Debian packages: `git`, `ffmpeg`."""
        found = checks.apt_packages(packages)
        return self._with(Step("apt_install", found), force=force_build) if found else self

    def run_commands(self, *commands: Packages, secrets: Sequence[Secret] = (), force_build: bool = False) -> Self:
        """Run shell commands while the image is built, each in a shell of its own."""
        found = checks.commands(commands, "make install")
        step = Step("run_commands", found)
        return self._with(step, force=force_build, secrets=secrets) if found else self

    def run_function(
        self,
        function: Callable[..., Any],
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        secrets: Sequence[Secret] = (),
        force_build: bool = False,
    ) -> Self:
        """Run a function while the image is built, as its source is now: to fetch weights, say.

        It may use modules, plain values and functions of the notebook; arguments are plain values.
        """
        program = function_program(function, args, kwargs or {})
        step = Step("run_function", checks.small((function.__name__, program)))
        return self._with(step, force=force_build, secrets=secrets)

    def dockerfile_commands(
        self,
        *dockerfile_commands: Packages,
        context_files: Mapping[str, str | Path] | None = None,
        context_dir: str | Path | None = None,
        ignore: Sequence[str] = (),
        force_build: bool = False,
    ) -> Self:
        """Add lines of a Dockerfile; `COPY` finds the context's folder and files."""
        lines = checks.commands(dockerfile_commands, "RUN true")
        if any(line.split()[0].upper() == "FROM" for line in lines):
            raise BadImage("dockerfile_commands: `FROM` would drop the image so far; use `Image.from_dockerfile`.")
        folder = Path(context_dir).expanduser() if context_dir is not None else None
        files = {name: Path(path).expanduser() for name, path in (context_files or {}).items()}
        step = Step("dockerfile_commands", (folder_context(folder, ignore, files), *lines))
        return self._with(step, force=force_build) if lines else self

    def env(self, variables: Mapping[str, str]) -> Self:
        """Set environment variables. For what must stay private use a secret: recipes are shown and kept."""
        return self._with(Step("env", checks.variables(variables)))

    def workdir(self, path: str) -> Self:
        """Set the directory that cells start in, an absolute path."""
        if not path.startswith("/") or "\n" in path:
            raise BadImage(f"workdir: {path!r} is not an absolute path.")
        return self._with(Step("workdir", (path,)))

    def entrypoint(self, entrypoint_commands: Sequence[str]) -> Self:
        """Set the program that starts what runs in the container; an empty list sets none."""
        if isinstance(entrypoint_commands, str):
            raise BadImage(f'entrypoint: write a list of words, such as ["{entrypoint_commands}"].')
        return self._with(Step("entrypoint", checks.small(checks.flat([entrypoint_commands], "/bin/init"))))

    def add_local_file(self, local_path: str | Path, remote_path: str, *, copy: bool = False) -> Self:
        """Put a small local file, as it is now, at an absolute remote path (or into a folder: `/data/`).

        It appears when a container starts; with `copy` it is a layer of the image, for later steps to use.
        """
        return self._with(file_step(Path(local_path).expanduser(), remote_path, copy=copy))

    def add_local_dir(
        self, local_path: str | Path, remote_path: str, *, copy: bool = False, ignore: Sequence[str] = ()
    ) -> Self:
        """Put the small files of a local folder, as they are now, at an absolute remote path; `copy` as for files."""
        return self._with(folder_step(Path(local_path).expanduser(), remote_path, ignore, copy=copy))

    def add_local_python_source(self, *modules: str, copy: bool = False, ignore: Sequence[str] = ()) -> Self:
        """Make local modules or packages importable, as they are now; `copy` as for files."""
        return self._with(source_step(modules, ignore, copy=copy)) if modules else self

    def imports(self) -> AbstractContextManager[None]:
        """Import, in a `with` block, what only the image has installed: names for cells that run there."""
        return elsewhere_imports()

    def pipe(self, function: Callable[Concatenate[Self, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a function makes of this image: `image.pipe(with_cuda, "12.8")`."""
        return function(self, *args, **kwargs)


def _with_python(base: str, steps: list[Step], add_python: str | None, force: bool) -> ImageRecipe:
    python = checks.minor(add_python) if add_python is not None else ""
    return first_recipe(base, python, [*steps, *([Step("add_python", (python,))] if python else [])], force)
