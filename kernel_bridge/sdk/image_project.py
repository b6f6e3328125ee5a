"""What a project says it needs: its pyproject.toml, and the pins of its uv.lock."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

from kernel_bridge.errors import BadImage


def read_pyproject(path: Path, optional: Sequence[str]) -> list[str]:
    """Return the dependencies of a pyproject.toml with those of some optional groups; raises BadImage."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadImage(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadImage(f"{path} is no TOML: {error}.") from None
    project = document.get("project")
    if not isinstance(project, dict) or "dependencies" not in project:
        raise BadImage(f"{path} has no `dependencies` in a `[project]` table.")
    groups = project.get("optional-dependencies", {})
    for name in optional:
        if name not in groups:
            known = f"there are {', '.join(sorted(groups))}" if groups else "it has none"
            raise BadImage(f"{path} has no optional dependencies `{name}`: {known}.")
    return [*project["dependencies"], *(item for name in optional for item in groups[name])]


def read_lock(folder: Path, *, groups: Sequence[str], extras: Sequence[str], frozen: bool) -> list[str]:
    """Return exact requirements of a uv project, without the project itself; raises BadImage with uv's own words.

    Frozen takes uv.lock as it is; otherwise it is brought up to date first, and written.
    """
    if not (folder / "pyproject.toml").is_file():
        raise BadImage(f"There is no pyproject.toml in {folder.absolute()}.")
    if frozen and not (folder / "uv.lock").is_file():
        raise BadImage(f"There is no uv.lock in {folder.absolute()}: run `uv lock` there, or write `frozen=False`.")
    chosen = [f"--group={name}" for name in groups] + [f"--extra={name}" for name in extras]
    plain = ["--no-emit-workspace", "--no-hashes", "--no-header", "--no-annotate", "--no-default-groups", "--quiet"]
    command = [find_uv_bin(), "export", "--project", str(folder), *plain, *chosen, *(["--frozen"] if frozen else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()).removeprefix("error: ")
        raise BadImage(f"uv cannot read the project {folder.absolute()}: {said or 'it did not say why'}")
    lines = [line.strip() for line in done.stdout.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
