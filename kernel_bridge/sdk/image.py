"""`Image`: what a cell's container holds, as an immutable recipe with Modal's vocabulary."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import DEBIAN_SLIM, FILES_LIMIT_BYTES, NOTEBOOK, ImageRecipe, Step
from kernel_bridge.sdk.image_files import file_step, files_size, folder_step, source_step
from kernel_bridge.sdk.requirements_file import read_requirements

_PYTHON: Final = re.compile(r"(3\.\d{1,2})(?:\.\d+)?\Z")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CREDENTIALS: Final = re.compile(r"://[^/@\s]+@")

Packages = str | Sequence[str]


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """A recipe. Each method returns a new image; equal recipes are the same image and are built once."""

    recipe: ImageRecipe

    @classmethod
    def debian_slim(cls, python_version: str | None = None) -> Self:
        """Start from a plain Python, the notebook's minor version unless another is named (`3.12`)."""
        return cls(ImageRecipe(DEBIAN_SLIM, _minor(python_version)))

    @classmethod
    def from_notebook(cls) -> Self:
        """Start from the notebook: its Python, and its packages at its versions as cells need them."""
        return cls(ImageRecipe(NOTEBOOK, _minor(None)))

    def pip_install(
        self,
        *packages: Packages,
        find_links: str | None = None,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
    ) -> Self:
        """Add packages, written as for pip: `numpy`, `torch==2.13.0`, `scikit-learn>=1.6`."""
        options = _options(find_links, index_url, extra_index_url, pre)
        return self._install("pip_install", _flat(packages), options)

    def uv_pip_install(
        self,
        *packages: Packages,
        requirements: Sequence[str | Path] | None = None,
        find_links: str | None = None,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
    ) -> Self:
        """Add packages by uv; here pip_install does the same."""
        options = _options(find_links, index_url, extra_index_url, pre)
        listed = [item for path in requirements or () for item in _from_file(path, options)]
        return self._install("uv_pip_install", [*_flat(packages), *listed], options)

    def pip_install_from_requirements(
        self,
        requirements_txt: str | Path,
        find_links: str | None = None,
        *,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
    ) -> Self:
        """Add the packages of a local requirements file, with the indexes it names."""
        options = _options(find_links, index_url, extra_index_url, pre)
        return self._install("pip_install", _from_file(requirements_txt, options), options)

    def env(self, variables: Mapping[str, str]) -> Self:
        """Set environment variables. For what must stay private use a secret: recipes are shown and kept."""
        for name, value in variables.items():
            if not _VARIABLE.match(name) or not isinstance(value, str):
                raise BadImage(f"`{name}`: an environment variable is a name and a string.")
        return self._with(Step("env", tuple(f"{name}={variables[name]}" for name in sorted(variables))))

    def workdir(self, path: str) -> Self:
        """Set the directory that cells start in, an absolute path."""
        if not path.startswith("/"):
            raise BadImage(f"workdir: `{path}` is not an absolute path.")
        return self._with(Step("workdir", (path,)))

    def add_local_file(self, local_path: str | Path, remote_path: str) -> Self:
        """Put a small local file, as it is now, at an absolute remote path (or into a folder: `/data/`)."""
        return self._with(file_step(Path(local_path).expanduser(), remote_path))

    def add_local_dir(self, local_path: str | Path, remote_path: str, *, ignore: Sequence[str] = ()) -> Self:
        """Put the small files of a local folder, as they are now, at an absolute remote path."""
        return self._with(folder_step(Path(local_path).expanduser(), remote_path, ignore))

    def add_local_python_source(self, *modules: str, ignore: Sequence[str] = ()) -> Self:
        """Make local modules or packages importable, as they are now."""
        return self._with(source_step(modules, ignore)) if modules else self

    @property
    def digest(self) -> str:
        """Return what names this recipe wherever it is built."""
        return self.recipe.digest

    def __repr__(self) -> str:
        base = "from_notebook()" if self.recipe.base == NOTEBOOK else f"debian_slim({self.recipe.python!r})"
        return ".".join(["Image", base, *(_call(step) for step in self.recipe.steps)])

    def _repr_html_(self) -> str:
        rows = "".join(f"<li><code>{html.escape(_call(step))}</code></li>" for step in self.recipe.steps)
        title = f"<b>Image</b> {html.escape(self.recipe.base)}, Python {html.escape(self.recipe.python)}"
        return f"<div>{title} <small>{self.digest[:12]}</small>{f'<ol>{rows}</ol>' if rows else ''}</div>"

    def _install(self, kind: str, packages: Sequence[str], options: Sequence[str]) -> Self:
        if not packages:
            return self
        for text in (*packages, *options):
            if _CREDENTIALS.search(text):
                raise BadImage("A URL with a password does not belong in an image: put it into the runtime's pip.conf.")
        for package in packages:
            if not package.strip() or package.startswith("-"):
                raise BadImage(f"`{package}` is not a package: write for example `numpy` or `numpy==2.4.6`.")
        steps = [Step("index", tuple(options))] if options else []
        return self._with(*steps, Step(kind, tuple(sorted({package.strip() for package in packages}))))

    def _with(self, *steps: Step) -> Self:
        together = (*self.recipe.steps, *steps)
        if files_size(together) > FILES_LIMIT_BYTES * 3 // 2:
            limit = f"{FILES_LIMIT_BYTES / 2**20:g} MiB"
            raise BadImage(f"The files of this image together have more than {limit}: put them into a volume.")
        return replace(self, recipe=replace(self.recipe, steps=together))


def _minor(version: str | None) -> str:
    text = version or f"{sys.version_info.major}.{sys.version_info.minor}"
    match = _PYTHON.match(text)
    if not match:
        raise BadImage(f"`{version}` is not a Python version: write for example `3.12`.")
    return match[1]


def _flat(packages: Sequence[Packages]) -> list[str]:
    return [name for item in packages for name in ([item] if isinstance(item, str) else item)]


def _options(find_links: str | None, index_url: str | None, extra_index_url: str | None, pre: bool) -> list[str]:
    named = {"--find-links": find_links, "--index-url": index_url, "--extra-index-url": extra_index_url}
    return [f"{option}={value}" for option, value in named.items() if value] + (["--pre"] if pre else [])


def _from_file(path: str | Path, options: list[str]) -> list[str]:
    """Read the packages of a requirements file and add the index options it has to `options`."""
    packages, found = read_requirements(Path(path).expanduser())
    options += [option for option in found if option not in options]
    return packages


def _call(step: Step) -> str:
    if step.kind == "index":
        return f"with_index({', '.join(step.args)})"
    if step.kind == "env":
        return f"env({', '.join(item.partition('=')[0] for item in step.args)})"
    if step.kind.startswith("add_local"):
        names = step.args[1::2]
        what = f"{len(names)} files" if len(names) > 1 else "1 file"
        return f"{step.kind}({f'{step.args[0]!r}, ' if step.args[0] else ''}{what})"
    return f"{step.kind}({', '.join(map(repr, step.args))})"
