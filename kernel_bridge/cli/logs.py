"""`cellburst logs`: what every process said of a session."""

from __future__ import annotations

import argparse
import json

from kernel_bridge.cli.common import Nouns, add_command, add_json, connect
from kernel_bridge.client.session_log import session_log
from kernel_bridge.config import ClientConfig
from kernel_bridge.errors import BadOption
from kernel_bridge.logs import text_of
from kernel_bridge.protocol.logs import LEVELS, LINES_LIMIT
from kernel_bridge.protocol.wire import to_wire


def add_commands(nouns: Nouns) -> None:
    """Add `logs`, a verb without a noun."""
    logs = add_command(nouns, "logs", _logs, "show what every process said of a session, in the order of time")
    logs.add_argument("session", metavar="SESSION", help="its id or name, from `cellburst runtime status`")
    logs.add_argument("--cell", metavar="ID", default="", help="only what concerns one cell")
    logs.add_argument("--lines", metavar="N", type=int, default=100, help="the newest so many lines (100)")
    logs.add_argument("--level", choices=LEVELS, default="info", help="this level and worse (info)")
    add_json(logs)


def _logs(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.lines <= LINES_LIMIT:
        raise BadOption(f"`--lines` wants a number from 1 to {LINES_LIMIT}.")
    with connect() as plane:
        named = [session.id for session in plane.sessions() if session.spec.name == arguments.session]
        found = session_log(
            plane,
            ClientConfig.load().data_dir / "logs",
            (named or [arguments.session])[0],
            cell_id=arguments.cell,
            level=arguments.level,
            lines=arguments.lines,
        )
    print(json.dumps(to_wire(found), indent=2) if arguments.json else "\n".join(map(text_of, found)))
