"""Running uv: its output line by line, and its refusals as errors that name what is at fault."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from kernel_bridge.errors import BuildFailed
from remote_runtime.images.pip_config import redact
from remote_runtime.images.requirements import requirement_name

Progress = Callable[[str], None]

_LINE_LIMIT_BYTES: Final = 1 << 20  # a compiler may print very long lines
# Older versions of uv draw the causes as a tree under a multiplication sign (U+00D7).
_DECORATION: Final = re.compile(r"^[\s│├╰─▶\u00d7]*(?:(?:error|cause|Caused by):\s*)?")
_ERROR: Final = re.compile(r"\s*(?:error:|\u00d7)")
_CAUSE: Final = re.compile(r"\s*(?:error:|\u00d7|cause:|Caused by:|╰|├)")
_WORD: Final = r"(?<![A-Za-z0-9._-]){}(?![A-Za-z0-9_-])"
_UNBUILT: Final = re.compile(
    r"Wheels are required for `([^`]+)` because building from source is disabled"
    r"|[Bb]uilding source distributions (?:for `([^`]+)` )?is disabled"
)
_CONCLUSION: Final = ", we can conclude that your requirements are unsatisfiable"


class UvRefused(Exception):
    """uv ended with an error; `lines` is all it said."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(failing_line(lines))


@dataclass(frozen=True, slots=True)
class Fence:
    """How a program is started behind walls: what its command line begins with, and what that inherits."""

    prefix: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


OUTSIDE: Final = Fence()


@dataclass(frozen=True, slots=True)
class Uv:
    """The uv program of this host."""

    program: str
    directory: Path  # where it runs: no project of anybody's is there

    async def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], progress: Progress, fence: Fence = OUTSIDE
    ) -> None:
        """Run one command, each line to `progress` as it is written; raises UvRefused. Cancelling ends uv too."""
        process = await asyncio.create_subprocess_exec(
            *fence.prefix,
            self.program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.directory,
            env=dict(environment),
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,
            pass_fds=fence.descriptors,
        )
        try:
            lines = await _relay(process, progress)
            code = await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the compilers it started
                await process.wait()
        if code != 0:
            raise UvRefused(lines)


def is_error(line: str) -> bool:
    """Tell whether uv's words about what went wrong begin here."""
    return _ERROR.match(line) is not None


def wants_building(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the names of distributions that uv was not allowed to build, as it wrote them; empty for other refusals.

    A source without a name is an empty string.
    """
    said = " ".join(line.strip() for line in lines)
    return tuple(dict.fromkeys(found[1] or found[2] or "" for found in _UNBUILT.finditer(said)))


def failing_line(lines: Sequence[str]) -> str:
    """Return the one line of uv's output that says why it stopped: the deepest cause after the last error."""
    starts = [at for at, line in enumerate(lines) if _ERROR.match(line)]
    told = _sentences(lines[starts[-1] :] if starts else lines[-1:])
    return told[-1] if told else "uv ended without saying why."


def build_failed(refused: UvRefused, requirements: Sequence[str]) -> BuildFailed:
    """Return the error a person sees: the requirement at fault, then uv's own words."""
    fault = _at_fault(refused.lines, requirements)
    reason = str(refused).rstrip(".")
    problem = f"Could not install {fault}" if fault else "The environment could not be made"
    return BuildFailed(f"{problem}: {reason}. Correct the packages and run the cell again.")


def _at_fault(lines: Sequence[str], requirements: Sequence[str]) -> str:
    """The first requirement that uv's failing line names, else one that any line of the error names."""
    starts = [at for at, line in enumerate(lines) if _ERROR.match(line)]
    error = "\n".join(lines[starts[-1] :] if starts else lines)
    for text in (failing_line(lines), error):
        for requirement in requirements:
            name = requirement_name(requirement)
            pattern = _WORD.format(re.escape(name).replace(r"\-", "[-_.]"))
            if (name and re.search(pattern, text, re.IGNORECASE)) or (not name and requirement in text):
                return f"`{redact(requirement)}`"
    return f"`{redact(requirements[0])}`" if len(requirements) == 1 else ""


def _sentences(lines: Sequence[str]) -> list[str]:
    """Join what uv wrapped over several lines; one entry per error, cause or arrow."""
    sentences: list[str] = []
    for line in lines:
        text = _DECORATION.sub("", line).strip()
        if not line.strip() or line.lstrip().startswith(("hint:", "help:")):
            break
        if _CAUSE.match(line) or not sentences:
            sentences.append(text)
        elif not re.fullmatch(r"[\^~ ]*", text):
            sentences[-1] = f"{sentences[-1]} {text}"
    return [sentence.replace(_CONCLUSION, "") for sentence in sentences]


async def _relay(process: asyncio.subprocess.Process, progress: Progress) -> list[str]:
    lines = []
    output = cast("asyncio.StreamReader", process.stdout)  # it is a pipe
    while raw := await _line(output):
        text = redact(raw.decode(errors="replace").rstrip())
        lines.append(text)
        if not text.startswith("Using "):  # the temporary directory's name helps nobody
            progress(text)
    return lines


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)
