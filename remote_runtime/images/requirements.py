"""Requirement strings: names, exact pins, and what a remote party may ask to install."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from kernel_bridge.errors import BadImage, BadRequest

_NAME: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_PIN: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9.!_]+)(\+[A-Za-z0-9._-]+)?\Z")
_OPEN: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._, -]*\])?(?:\s*[<>=!~]{1,3}\s*[A-Za-z0-9.*+!_-]+,?)*\Z"
)
_BY_URL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]* @ (?:git\+)?https://[^\s]+\Z")


def canonical(name: str) -> str:
    """Return a distribution's name as indexes compare it: lower case, runs of `-_.` as one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the canonical name a requirement begins with, or an empty string (a bare URL)."""
    match = _NAME.match(requirement)
    return canonical(match[1]) if match and "://" not in requirement.partition("@")[0] else ""


def check_requirement(requirement: str) -> str:
    """Return a requirement that can go onto uv's command line; raises BadImage for an option in its place."""
    text = requirement.strip()
    if not text or text.startswith("-") or any(ord(letter) < 32 for letter in text):
        raise BadImage(f"`{requirement[:80]}` is not a package: write for example `numpy` or `numpy==2.4.6`.")
    return text


def exact_pins(requirements: Iterable[str], has_wheel: Callable[[str, str], bool]) -> tuple[tuple[str, ...], bool]:
    """Return the pins, sorted, local labels dropped where no local wheel has them, and whether any was dropped.

    Raises BadRequest for anything but `name==version` and `name @ https://…`.
    """
    pins: dict[str, str] = {}
    dropped = False
    for requirement in requirements:
        text = requirement.strip()
        match = _PIN.match(text)
        if match is None and not _BY_URL.match(text):
            raise BadRequest(f"`{text[:80]}` is not an exact version: a package layer takes `name==version`.")
        if match and match[3] and not has_wheel(match[1], match[2] + match[3]):
            text, dropped = f"{match[1]}=={match[2]}", True
        pins[requirement_name(text)] = text
    return tuple(pins[name] for name in sorted(pins)), dropped


def open_pins(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements that leave the choice of a version to uv, sorted; raises BadRequest for options and paths."""
    found = sorted({requirement.strip() for requirement in requirements})
    for text in found:
        if not _OPEN.match(text) and not _BY_URL.match(text):
            raise BadRequest(f"`{text[:80]}` is not a package: write for example `humanize` or `humanize>=4`.")
    return tuple(found)
