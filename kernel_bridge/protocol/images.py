"""An image as a recipe: immutable steps and their digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from kernel_bridge.protocol.wire import to_wire

NOTEBOOK: Final = "notebook"  # the notebook's Python, packages on demand at the notebook's versions
DEBIAN_SLIM: Final = "debian_slim"
MICROMAMBA: Final = "micromamba"  # conda packages
REGISTRY: Final = "registry"  # whatever a registry has under a name
DOCKERFILE: Final = "dockerfile"  # what `docker build` makes of a Dockerfile and its context
INSTALL_STEPS: Final = frozenset({"pip_install", "uv_pip_install", "uv_sync"})
FILE_STEPS: Final = frozenset({"add_local_file", "add_local_dir", "add_local_python_source"})
COPY_STEPS: Final = frozenset({"copy_local_file", "copy_local_dir", "copy_local_python_source"})
STEPS_LIMIT: Final = 200  # of one recipe: an engine has no more layers than some such number
STEP_TEXT_LIMIT_BYTES: Final = 64 << 10  # of all arguments of one step that are not content of files
FILES_LIMIT_BYTES: Final = 1 << 20  # of all files inside one recipe: it travels with every request for a session


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a recipe: what is done, and with what.

    Kinds that every provider knows:
    - `pip_install`, `uv_pip_install`, `uv_sync`: args are requirements
    - `index`: pip options for the next install step, each one arg: `--index-url=URL`, `--extra-index-url=URL`,
      `--find-links=PLACE`, `--pre`
    - `env`: KEY=VALUE each; `workdir`: one absolute path
    - `add_local_file`, `add_local_dir`: the absolute remote path, then for each file its relative path and its content;
      a single file's relative path is empty. `add_local_python_source`: an empty remote path, then the same, to be
      importable. They appear when a container starts. `copy_local_...`: the same as a layer, for later steps to see
    - `force_build`: one word that makes this recipe another one than all before it

    Kinds for a container engine:
    - `from_registry`: the name of an image; first, and only with the base `registry`
    - `from_dockerfile`: the Dockerfile's path in its context, the context, then KEY=VALUE for each build argument;
      first, and only with the base `dockerfile`
    - `add_python`: one minor version; `apt_install`, `micromamba_install`: packages (and `--channel=NAME`)
    - `run_commands`: lines for `/bin/sh`; `entrypoint`: its words; `run_function`: its name, then a program calling it
    - `dockerfile_commands`: a context or an empty arg, then lines of a Dockerfile
    - `secret`: names of secrets whose values are variables of the next step, and of nothing else

    Content is base64 of zlib-compressed bytes, a context that of a tar archive.
    """

    kind: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """What an image is made of. Equal recipes are the same image."""

    base: str = NOTEBOOK
    python: str = ""  # the minor version, "3.11"
    steps: tuple[Step, ...] = field(default=())

    @property
    def digest(self) -> str:
        """Return 64 hexadecimal digits that name this recipe wherever it is built."""
        canonical = json.dumps(to_wire(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the names of secrets that commands of its build are given."""
        return tuple(dict.fromkeys(name for step in self.steps if step.kind == "secret" for name in step.args))

    @property
    def label(self) -> str:
        """Return a few words for people: `debian_slim 3.11 + numpy, scikit-learn`."""
        packages = [name for step in self.steps if step.kind in INSTALL_STEPS for name in step.args]
        extra = f" + {', '.join(packages[:4])}{', …' if len(packages) > 4 else ''}" if packages else ""
        base = self.steps[0].args[0] if self.base in (REGISTRY, DOCKERFILE) and self.steps else self.base
        return f"{base} {self.python}".rstrip() + extra
