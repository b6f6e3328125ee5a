"""Local files as content inside an image recipe, within its limit."""

from __future__ import annotations

import base64
import fnmatch
import importlib.util
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import COPY_STEPS, FILE_STEPS, FILES_LIMIT_BYTES, Step

_NEVER: Final = ("__pycache__", "*.pyc", ".git", ".venv", ".ipynb_checkpoints", "node_modules", ".DS_Store")
_COMPILED: Final = (".so", ".pyd", ".dylib")


def file_step(local: Path, remote: str, *, copy: bool = False) -> Step:
    """Make the step that puts one file at a remote path, or into a remote folder written with a closing slash."""
    if not local.is_file():
        raise BadImage(f"There is no file {local}.")
    target = f"{remote}{local.name}" if remote.endswith("/") else remote
    return _step(_kind("file", copy), _checked(target), [("", local)], str(local))


def folder_step(local: Path, remote: str, ignore: Sequence[str], *, copy: bool = False) -> Step:
    """Make the step that puts a folder's content at a remote path."""
    if not local.is_dir():
        raise BadImage(f"There is no folder {local}.")
    return _step(_kind("dir", copy), _checked(remote.rstrip("/") or "/"), _below(local, local, ignore), str(local))


def source_step(modules: Sequence[str], ignore: Sequence[str], *, copy: bool = False) -> Step:
    """Make the step that lets the remote side import local modules and packages."""
    files = [pair for name in modules for pair in _module_files(name, ignore)]
    return _step(_kind("python_source", copy), "", files, ", ".join(modules))


def files_size(steps: Sequence[Step]) -> int:
    """Return how many bytes the steps' files take in the recipe."""
    return sum(len(text) for step in steps for text in _contents(step))


def _contents(step: Step) -> Sequence[str]:
    if step.kind in FILE_STEPS | COPY_STEPS:
        return step.args[2::2]
    if step.kind == "from_dockerfile":
        return step.args[1:2]
    return step.args[:1] if step.kind == "dockerfile_commands" else ()


def _kind(what: str, copy: bool) -> str:
    return f"{'copy' if copy else 'add'}_local_{what}"


def _step(kind: str, target: str, files: Sequence[tuple[str, Path]], what: str) -> Step:
    size = sum(path.stat().st_size for _, path in files)
    if size > FILES_LIMIT_BYTES:
        raise BadImage(
            f"{what} has {size / 2**20:.1f} MiB; files inside an image may have {FILES_LIMIT_BYTES / 2**20:g} MiB. "
            "Put them into a volume: `cellburst volume put NAME FILE` and `--volume NAME:/path`."
        )
    args = [part for relative, path in sorted(files) for part in (relative, _content(path))]
    return Step(kind, (target, *args))


def _content(path: Path) -> str:
    return base64.b64encode(zlib.compress(path.read_bytes(), 6)).decode()


def _below(folder: Path, root: Path, ignore: Sequence[str]) -> list[tuple[str, Path]]:
    return [(path.relative_to(root).as_posix(), path) for path in _walk(folder, root, (*_NEVER, *ignore))]


def _walk(folder: Path, root: Path, ignore: Sequence[str]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        relative = entry.relative_to(root).as_posix()
        if any(fnmatch.fnmatch(entry.name, pattern) or fnmatch.fnmatch(relative, pattern) for pattern in ignore):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry, root, ignore)
        elif entry.is_file():
            yield entry


def _module_files(name: str, ignore: Sequence[str]) -> list[tuple[str, Path]]:
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None or "." in name:
        raise BadImage(f"There is no top-level module `{name}` to add; check its name and sys.path.")
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        found = _below(folder, folder.parent, ignore)
    elif spec.origin and spec.origin.endswith(".py"):
        found = [(f"{name}.py", Path(spec.origin))]
    else:
        raise BadImage(f"`{name}` has no Python source of its own.")
    if any(relative.endswith(_COMPILED) for relative, _ in found):
        raise BadImage(f"`{name}` has compiled parts: install it with pip_install instead.")
    return found


def _checked(remote: str) -> str:
    if not remote.startswith("/") or ".." in PurePosixPath(remote).parts:
        raise BadImage(f"`{remote}`: a remote path starts with `/` and has no `..`.")
    return remote
