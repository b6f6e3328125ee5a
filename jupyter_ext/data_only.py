"""What a runtime that is trusted with data alone may show, bind and write here: nothing that a program would run.

Values are rebuilt by `codecs/plain_data.py`. Here is what comes beside them: displays, names and files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from jupyter_ext.notebook import is_shell_name
from kernel_bridge.protocol.cells import RESULT_NAME, CellReply, FileRef
from kernel_bridge.protocol.messages import Message

# A browser runs what is in HTML, SVG, Markdown and widgets; these it only shows.
_SHOWN: Final = frozenset(
    {"text/plain", "text/latex", "image/png", "image/jpeg", "image/gif", "image/webp", "application/json"}
)
_DISPLAYS: Final = frozenset({"display_data", "update_display_data", "execute_result"})
_COMMS: Final = frozenset({"comm_open", "comm_msg", "comm_close"})
_LEFT_OUT: Final = "a display was left out: this runtime is trusted with data alone (trust=data)"
_FILES: Final = frozenset(
    {
        ".csv",
        ".tsv",
        ".txt",
        ".log",
        ".json",
        ".jsonl",
        ".parquet",
        ".feather",
        ".arrow",
        ".npy",
        ".npz",
        ".safetensors",
    }
    | {".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".wav", ".mp3", ".mp4", ".h5", ".hdf5", ".nc"}
)
_OF_PYTHON: Final = frozenset({"get_ipython", "exit", "quit", "display"})


def harmless_output(message: Message) -> Message | None:
    """Return a message as it may be shown; None for one that may not."""
    if message.type in _COMMS:
        return None
    if message.type not in _DISPLAYS:
        return message
    data = message.content.get("data", {})
    shown = {kind: value for kind, value in data.items() if kind in _SHOWN}
    return replace(message, content={**message.content, "data": shown or {"text/plain": _LEFT_OUT}, "metadata": {}})


def harmless_reply(reply: CellReply) -> CellReply:
    """Return what a cell left behind without the names and files that could make this side run code."""
    files = [ref for ref in reply.files if _is_data_file(ref)]
    left = [ref.path for ref in reply.files if not _is_data_file(ref) and ref.kind == "file"]
    notices = list(reply.notices)
    if left:
        notices.append(f"{', '.join(left)} stayed remote: only data files come home with trust=data.")
    return replace(
        reply,
        units=tuple(head for head in reply.units if _all_ordinary(head.names)),
        handles=tuple(head for head in reply.handles if _all_ordinary([head.name])),
        deleted=tuple(name for name in reply.deleted if _all_ordinary([name])),
        files=tuple(files),
        notices=tuple(notices),
    )


def _all_ordinary(names: Iterable[Any]) -> bool:
    return all(_is_ordinary(str(name)) for name in names)


def _is_ordinary(name: str) -> bool:
    """Whether a name is one that a user's code binds."""
    if name == RESULT_NAME or name.startswith("_cellburst_exception"):
        return True
    dunder = name.startswith("__") and name.endswith("__")
    return name.isidentifier() and not dunder and name not in _OF_PYTHON and (name == "_" or not is_shell_name(name))


def _is_data_file(ref: FileRef) -> bool:
    path = PurePosixPath(ref.path)
    hidden = any(part.startswith(".") for part in path.parts)
    return ref.kind == "folder" or (ref.kind == "file" and path.suffix.lower() in _FILES and not hidden)
