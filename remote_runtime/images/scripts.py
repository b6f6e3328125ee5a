"""Commands of packages, made to run the environment they lie in wherever it is renamed to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

# A shell reads the second line as a command; Python reads the second and third as a string.
_HEAD: Final = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""
_HEAD_LIMIT_BYTES: Final = 4096


def relocate_scripts(folder: Path, interpreter: str) -> None:
    """Make scripts that name the interpreter run the `python` beside them; raises OSError."""
    named = tuple(name.encode() for name in dict.fromkeys([interpreter, os.path.realpath(interpreter)]))
    for script in folder.iterdir() if folder.is_dir() else ():
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as opened:
            head = opened.read(_HEAD_LIMIT_BYTES)
        lines = head.split(b"\n", 3)
        if lines[0].startswith(b"#!") and lines[0][2:].strip() in named:
            _replace(script, len(lines[0]) + 1)
        elif lines[0] == b"#!/bin/sh" and len(lines) > 3 and _execs(lines[1], named):
            _replace(script, sum(len(line) + 1 for line in lines[:3]))


def _execs(line: bytes, named: Sequence[bytes]) -> bool:
    """uv writes this where the interpreter's path is long or has a space."""
    return line.startswith(b"'''exec' ") and any(name in line for name in named)


def _replace(script: Path, skipped: int) -> None:
    """Write it anew: the file may be one with that of other environments."""
    half_done = script.with_name(f".{uuid4().hex}")
    half_done.write_bytes(_HEAD + script.read_bytes()[skipped:])
    half_done.chmod(0o755)
    half_done.replace(script)
