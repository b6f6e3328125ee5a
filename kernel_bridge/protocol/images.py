"""An image as a recipe: immutable steps and their digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from kernel_bridge.protocol.wire import to_wire

NOTEBOOK: Final = "notebook"  # the notebook's Python, packages on demand at the notebook's versions
DEBIAN_SLIM: Final = "debian_slim"
FILES_LIMIT_BYTES: Final = 1 << 20  # of all files inside one recipe: it travels with every request for a session


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a recipe: what is done, and with what.

    Kinds: `pip_install` and `uv_pip_install` (args are requirements); `index` (pip options for the next install step,
    each one arg: `--index-url=URL`, `--extra-index-url=URL`, `--find-links=PLACE`, `--pre`); `env` (KEY=VALUE each);
    `workdir` (one absolute path); `add_local_file` and `add_local_dir` (the absolute remote path, then for each file
    its relative path and its content; a single file's relative path is empty); `add_local_python_source` (an empty
    remote path, then the same: importable). Content is base64 of zlib-compressed bytes.
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
    def label(self) -> str:
        """Return a few words for people: `debian_slim 3.11 + numpy, scikit-learn`."""
        packages = [name for step in self.steps if step.kind.endswith("pip_install") for name in step.args]
        extra = f" + {', '.join(packages[:4])}{', …' if len(packages) > 4 else ''}" if packages else ""
        return f"{self.base} {self.python}{extra}"
