"""After each cell the structure of the namespace is written to a file, for the other process to read."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from tests.differential.inside.shape import Said, digest
from tests.differential.inside.walk import structure

_HISTORY: Final = re.compile(r"_(i{0,3}|_{0,2}|i?\d+|dh|ih|oh|exit_code)\Z")
_SEEDED: Final = {
    "random": r"(?<!\.)\brandom\.seed\(",
    "numpy.random": r"\brandom\.seed\(|np\.random\.seed\(",
    "torch": r"\bmanual_seed\(",
}


def watch(shell: Any, folder: str) -> None:
    """Write `folder/N.json` after the N-th cell from now on; what cannot be written down is said in its place."""
    number, here = 0, Path.cwd()

    def after_cell(_: object) -> None:
        nonlocal number
        number += 1
        try:
            told: Any = _seen(shell, here)
        except Exception as error:  # noqa: BLE001 - the other process says so
            told = {"the walk failed": [("", f"{type(error).__name__}: {error}")]}
        (Path(folder) / f"{number}.json").write_text(json.dumps(told))

    shell.events.register("post_run_cell", after_cell)


def _seen(shell: Any, here: Path) -> dict[str, list[tuple[str, str]]]:
    namespace, hidden = shell.user_ns, shell.user_ns_hidden
    names = [
        name
        for name, value in namespace.items()
        if not _HISTORY.match(name) and not name.startswith("__") and hidden.get(name, hidden) is not value
    ]
    # Only the newest: an older one shows what was, and is not held to follow what becomes of it.
    newest = shell.execution_count - 1
    added = {f"Out[{newest}]": namespace["_oh"][newest]} if newest in namespace["_oh"] else {}
    added |= {
        f"state of {name}": Said(state) for name, state in _random_states(shell.history_manager.input_hist_raw).items()
    }
    added["files"] = {str(path.relative_to(here)): _file(path) for path in sorted(here.rglob("*")) if _is_content(path)}
    return structure(names, namespace, added)


def _random_states(cells: list[str]) -> dict[str, str]:
    """Return the states of the libraries' own generators; before they are seeded, two runs differ."""
    source = "\n".join(cells)
    seeded = {name for name, pattern in _SEEDED.items() if name in sys.modules and re.search(pattern, source)}
    found = {}
    if "random" in seeded:
        found["random"] = digest(repr(sys.modules["random"].getstate()))
    if "numpy.random" in seeded:
        found["numpy.random"] = digest(repr(sys.modules["numpy.random"].get_state(legacy=False)))
    if "torch" in seeded:
        found["torch"] = digest(sys.modules["torch"].get_rng_state().numpy().tobytes())
    return found


def _is_content(path: Path) -> bool:
    return path.is_file() and not {"__pycache__", ".ipynb_checkpoints"}.intersection(path.parts)


def _file(path: Path) -> str:
    return f"{path.stat().st_size} bytes, {hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()}"
