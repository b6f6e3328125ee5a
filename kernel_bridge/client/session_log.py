"""All that was said of a session: on the runtime's side, asked for over HTTP, and on this one, read from its files."""

from __future__ import annotations

from pathlib import Path

from kernel_bridge.client import journal
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.protocol.logs import LogLine, is_at_least


def session_log(
    plane: ControlPlane, folder: Path, session_id: str, *, cell_id: str = "", level: str = "info", lines: int = 200
) -> list[LogLine]:
    """Return the newest lines of a session, or of one cell of it, of every process, by their time.

    `folder` holds the notebooks' logs of this machine. Two machines' clocks may differ, and so may the order.
    """
    there = plane.logs(session_id, cell_id=cell_id, level=level, lines=lines)
    here = [
        line
        for line in journal.read(folder, session_id)
        if cell_id in ("", line.cell_id) and is_at_least(line.level, level)
    ]
    return sorted((*there, *here), key=lambda line: line.at_s)[-lines:]
