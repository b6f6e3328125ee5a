"""Reading a requirements file, as far as an image recipe can hold what is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadImage

_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")
_OPTION: Final = re.compile(r"(--?[a-z-]+)(?:\s*=\s*|\s+)?(.*)\Z")
_LONG: Final = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-e": "--editable",
    "-c": "--constraint",
}
_KEPT: Final = frozenset({"--index-url", "--extra-index-url", "--find-links"})
_DEPTH: Final = 8  # of files naming files


def read_requirements(path: Path, depth: int = 0) -> tuple[list[str], list[str]]:
    """Return the packages and the index options of a file and of those it includes; raises BadImage naming the line."""
    packages: list[str] = []
    options: list[str] = []
    for line in _lines(path):
        if not line.startswith("-"):
            packages.append(_package(line, path))
            continue
        name, value = _option(line)
        if name == "--requirement" and depth < _DEPTH:
            more, found = read_requirements(path.parent / value, depth + 1)
            packages += more
            options += found
        elif name == "--pre":
            options.append("--pre")
        elif name in _KEPT:
            options.append(f"{name}={value}")
        else:
            raise BadImage(f"{path.name}: `{line}` cannot be part of an image here.")
    return packages, options


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadImage(f"The requirements file {path} cannot be read: {error.strerror}.") from None
    joined = text.replace("\\\n", " ")
    lines = (_COMMENT.sub("", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def _package(line: str, path: Path) -> str:
    if " --" in line:
        raise BadImage(
            f"{path.name}: `{line}`: options of one package, hashes included, cannot be part of an image here."
        )
    return line


def _option(line: str) -> tuple[str, str]:
    match = _OPTION.match(line)
    name, value = (match[1], match[2]) if match else (line, "")
    return _LONG.get(name, name), value
