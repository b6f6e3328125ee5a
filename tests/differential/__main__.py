"""`python -m tests.differential NAME --seed 7`: run a notebook both ways, print the first cell that differs."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.differential.notebook import all_notebooks, read
from tests.differential.oracle import NotebookBroken, Oracle, runtime


def main() -> int:
    """Read the command line; returns 1 when the two runs differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a notebook of the corpus, or a path; none: all of the corpus"
    )
    parser.add_argument("--seed", type=int, help="cells drawn by this seed run remotely")
    parser.add_argument(
        "--remote", default="all", help="which cells run remotely: all, odd, even, or their numbers, as in 1,3"
    )
    parser.add_argument("--twice", action="store_true", help="two local runs: is the notebook deterministic?")
    options = parser.parse_args()
    which = f"seed {options.seed}" if options.seed is not None else options.remote
    known = {path.stem: path for path in all_notebooks()}
    differ = 0
    with tempfile.TemporaryDirectory(prefix="cb") as folder, runtime(Path(folder)):
        for name in options.names or known:
            told = _told(Oracle(Path(folder)), known.get(name, Path(name)), "none" if options.twice else which)
            differ += bool(told)
            print(told or f"{name}: the same ({which})", flush=True)
    return int(differ > 0)


def _told(oracle: Oracle, path: Path, which: str) -> str:
    try:
        findings = oracle.findings(read(path), which)
    except NotebookBroken as error:
        return str(error)
    return str(findings or "")


if __name__ == "__main__":
    sys.exit(main())
