"""`python -m remote_runtime.doctor`: look at this host, print, and say by the exit code whether cells can run.

Apart from `python -m remote_runtime`, which imports what may be missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from kernel_bridge.errors import CellburstError
from remote_runtime.doctor.examine import examine
from remote_runtime.doctor.findings import cells_can_run
from remote_runtime.doctor.report import as_json, as_text
from remote_runtime.settings import Settings

_CLEAR = "\r\x1b[K"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, look, and print; return 0 when cells can run, else 1."""
    options = _parser().parse_args(arguments)
    try:
        findings = examine(Settings.from_env(os.environ), connected=options.connected, say=_progress)
    except CellburstError as error:  # a setting that cannot be
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        _progress("")
    width = shutil.get_terminal_size((100, 24)).columns
    sys.stdout.write(f"{as_json(findings) if options.json else as_text(findings, width)}\n")
    return 0 if cells_can_run(findings) else 1


def _progress(subject: str) -> None:
    """Say on a terminal what takes the time."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{_CLEAR}looking at {subject} ..." if subject else _CLEAR)
        sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m remote_runtime.doctor", description="What this host has for cells."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--connected", default="", help="a runtime elsewhere, whose clock is compared with ours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
