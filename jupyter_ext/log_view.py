"""What `%gpu_logs` is asked and what it shows: lines of every process, in the order of their time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.words import split_words
from kernel_bridge.logs import text_of
from kernel_bridge.protocol.logs import LEVELS, LINES_LIMIT, LogLine

LAST: Final = "last"
_LINES: Final = 100

# Every option of `%gpu_logs`: what the parser is made from, and what the reference page is held to.
OPTIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (
        "--cell",
        {"default": "", "metavar": "ID", "help": "only what concerns one cell, by its id; `last`: the last one"},
    ),
    ("--session", {"default": "", "metavar": "NAME", "help": "one session, by name or id; without it, all of them"}),
    ("--lines", {"type": int, "default": _LINES, "metavar": "N", "help": "the newest so many lines: 100"}),
    ("--level", {"default": "info", "choices": LEVELS, "help": "this level and worse: info"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which lines are wanted."""

    cell: str = ""
    session: str = ""
    lines: int = _LINES
    level: str = "info"


def log_arguments() -> None:
    """Show what every process said of this notebook's sessions, or of one cell: notebook, control plane, container."""


def _build_parser() -> argparse.ArgumentParser:
    for name, settings in reversed(OPTIONS):  # as decorators, the last is applied first
        argument(name, **settings)(log_arguments)
    parser: argparse.ArgumentParser = magic_arguments("gpu_logs")(log_arguments).parser
    return parser


_PARSER: Final = _build_parser()
HELP: Final[str] = log_arguments.__doc__ or ""


def parse_logs(line: str) -> Asked:
    """Read the line of a `%gpu_logs`; raises UsageError."""
    try:
        found, extra = _PARSER.parse_known_args(split_words(line))
    except UsageError as error:
        _usage(f"{str(error).removeprefix('argument ').rstrip('.')}; see `%gpu_logs?`.")
    if extra:
        _usage(f"`{extra[0]}` is not for `%gpu_logs`: write for example `%gpu_logs --cell last`.")
    if not 1 <= found.lines <= LINES_LIMIT:
        _usage(f"`--lines {found.lines}`: write a number from 1 to {LINES_LIMIT}.")
    return Asked(cell=found.cell, session=found.session, lines=found.lines, level=found.level)


def meant(asked: Asked, chosen: Sequence[RemoteSession]) -> list[tuple[RemoteSession, str]]:
    """Return which sessions to ask, and for which cell of them; raises UsageError when there is no last one."""
    if asked.cell != LAST:
        known = [session for session in chosen if session.knows_cell(asked.cell)]
        return [(session, asked.cell) for session in known or chosen]
    session = chosen[-1]  # the one used last comes last
    if not session.last_cell:
        _usage("No `%%gpu` cell has run in this session yet.")
    return [(session, session.last_cell)]


def log_lines(session_id: str, cell_id: str, lines: Sequence[LogLine]) -> list[str]:
    """Return what to print."""
    head = f"{session_id}, cell {cell_id}" if cell_id else session_id
    if not lines:
        return [f"{head}: no lines"]
    return [f"{head}:", *map(text_of, lines)]


def _usage(text: str) -> NoReturn:
    raise UsageError(text) from None
