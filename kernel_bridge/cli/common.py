"""What every command does: reach the runtime, and print a table or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from kernel_bridge.client.embedded import ensure_runtime, running_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
from kernel_bridge.protocol.wire import to_wire

Nouns = Any  # argparse's own type for this is private
Command = Callable[[argparse.Namespace], None]


def add_command(verbs: Nouns, name: str, run: Command, summary: str) -> argparse.ArgumentParser:
    """Add one verb of a noun and return its parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def add_noun(nouns: Nouns, name: str, summary: str) -> Nouns:
    """Add a noun and return what its verbs are added to."""
    parser = nouns.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def connect() -> ControlPlane:
    """Return the control plane to talk to: the connected one, else this machine's, which is started if need be."""
    return ControlPlane(ensure_runtime(ClientConfig.load()))


def connect_if_running() -> ControlPlane | None:
    """Return the control plane to talk to, or None when this machine's own does not run."""
    config = ClientConfig.load()
    if config.connected is None and running_runtime(config) is None:
        return None
    return ControlPlane(config.connected or config.embedded_address())


def show(values: Any, *, as_json: bool, rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print values as JSON, or rows (the first is the heading) as a table."""
    if as_json:
        print(json.dumps(to_wire(values), indent=2))
    elif len(rows) < 2:
        print(empty)
    else:
        print(table(rows))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def time_text(at_s: float | None) -> str:
    """Write a moment (epoch seconds) in local time; `-` for none."""
    return datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M") if at_s else "-"
