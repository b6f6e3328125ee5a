"""`make bench`: measure all rows or some, print them, keep them, write the page, compare.

python -m benchmarks                      all rows; prints, and writes benchmarks/results/last.json
python -m benchmarks warm_cell arrays     some of them
python -m benchmarks --compare            what moved since the newest kept file
python -m benchmarks --keep               keeps benchmarks/results/DATE.json and writes docs/benchmarks.md from it
python -m benchmarks --page               writes the page from the newest kept file; measures nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.compare import moves
from benchmarks.harness.contest import Effort
from benchmarks.harness.plots import draw
from benchmarks.harness.records import LAST, RESULTS, RunRecord, merged, newest_kept, run_from, to_json
from benchmarks.harness.report import PAGE, page, table_of
from benchmarks.harness.row import measured_apart
from benchmarks.rows import ROWS


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; 1 when a row could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the usual repetitions, 0.1 for a look")
    parser.add_argument("--compare", action="store_true", help="say what moved since the newest kept file")
    parser.add_argument("--keep", action="store_true", help="keep the figures and write docs/benchmarks.md")
    parser.add_argument("--page", action="store_true", help="only write docs/benchmarks.md from the newest kept file")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.rows if name not in ROWS]:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if asked.keep and asked.scale != 1:
        parser.error("what is kept is measured whole: --keep goes without --scale")
    if asked.page:
        return write_page(newest_kept())
    kept = newest_kept()
    before = run_from(kept.read_text()) if kept else None
    run = measure(tuple(asked.rows or ROWS), Effort(scale=asked.scale))
    LAST.parent.mkdir(exist_ok=True)
    LAST.write_text(to_json(run))
    if asked.compare:
        compare(before, run)
    if asked.keep:
        target = RESULTS / f"{run.machine['date']}.json"
        target.write_text(to_json(merged(before, run, ROWS)))
        write_page(target)
    return int(any(row.failed for row in run.rows.values()))


def measure(names: tuple[str, ...], effort: Effort) -> RunRecord:
    """Measure rows one after the other and print each as it is done."""
    run = RunRecord(machine=machine.describe())
    for name in names:
        run.rows[name] = measured_apart(name, effort)
        print(*table_of(run.rows[name]), "", sep="\n", flush=True)
    return run


def compare(before: RunRecord | None, after: RunRecord) -> None:
    """Print what moved beyond noise."""
    if before is None:
        print("Nothing is kept yet to compare with: `--keep` keeps a run.")
        return
    found = moves(before, after)
    print(f"Since {before.machine['date']} ({before.machine['commit']}):", end=" ")
    print("nothing moved beyond chance" if not found else "", *(move.words for move in found), sep="\n")


def write_page(kept: Path | None) -> int:
    """Write the page and its pictures from a kept file."""
    if kept is None:
        print("Nothing is kept yet: `--keep` keeps a run.", file=sys.stderr)
        return 1
    run = run_from(kept.read_text())
    drawn = {row.name: draw(row) for row in run.rows.values() if row.figures}
    pictures = {name: str(path.relative_to(PAGE.parent)) for name, path in drawn.items()}
    PAGE.write_text(page(run, kept.name, pictures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
