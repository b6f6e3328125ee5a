"""What an image's methods accept: each check returns the value as a recipe has it, or raises BadImage."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import STEP_TEXT_LIMIT_BYTES
from kernel_bridge.sdk.requirements_file import read_requirements
from kernel_bridge.sdk.secret import Secret

_PYTHON: Final = re.compile(r"(3\.\d{1,2})(?:\.\d+)?\Z")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CREDENTIALS: Final = re.compile(r"://[^/@\s]+@")
_APT: Final = re.compile(r"[a-z0-9][a-z0-9.+-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~*-]+)?(?:/[a-z-]+)?\Z")
_CONDA: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*(?:[=<>!~][A-Za-z0-9_.*=<>!~,|+-]*)?\Z")
# docker's own grammar: registry with a port, path of lower case, tag, digest
_TAG: Final = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)

Packages = str | Sequence[str]


def minor(version: str | None) -> str:
    """Return a minor version of Python, the notebook's unless named."""
    text = version or f"{sys.version_info.major}.{sys.version_info.minor}"
    match = _PYTHON.match(text) if isinstance(text, str) else None
    if not match:
        raise BadImage(f"`{version}` is not a Python version: write for example `3.12`.")
    return match[1]


def flat(packages: Sequence[Packages], example: str = "numpy") -> list[str]:
    """Return names given one by one or in lists, as one list of strings."""
    found: list[str] = []
    for item in packages:
        found += item if isinstance(item, list | tuple | set) else [item]  # type: ignore[list-item]
    for name in found:
        if not isinstance(name, str):
            raise BadImage(f"`{name!r}` is no text: write for example `{example}`.")
    return found


def requirements(packages: Iterable[str]) -> tuple[str, ...]:
    """Return packages as a set: their order makes no other image."""
    found = sorted({package.strip() for package in packages})
    for package in found:
        if not package or package.startswith("-"):
            raise BadImage(f"`{package}` is not a package: write for example `numpy` or `numpy==2.4.6`.")
    return small(found)


def without_passwords(texts: Iterable[str]) -> None:
    """Refuse a URL with a password: recipes are shown and kept."""
    if any(_CREDENTIALS.search(text) for text in texts):
        raise BadImage("A URL with a password does not belong in an image: put it into the runtime's pip.conf.")


def index_options(find_links: str | None, index_url: str | None, extra_index_url: str | None, pre: bool) -> list[str]:
    """Return where packages are looked for, as options of pip."""
    named = {"--find-links": find_links, "--index-url": index_url, "--extra-index-url": extra_index_url}
    return [f"{option}={value}" for option, value in named.items() if value] + (["--pre"] if pre else [])


def from_file(path: str | Path, options: list[str]) -> list[str]:
    """Read the packages of a requirements file and add the index options it has to `options`."""
    packages, found = read_requirements(Path(path).expanduser())
    options += [option for option in found if option not in options]
    return packages


def variables(given: Mapping[str, str], what: str = "an environment variable") -> tuple[str, ...]:
    """Return KEY=VALUE for each, by name."""
    for name, value in given.items():
        if not isinstance(name, str) or not _VARIABLE.match(name) or not isinstance(value, str) or "\0" in value:
            raise BadImage(f"`{name}`: {what} is a name and a string.")
    return small([f"{name}={given[name]}" for name in sorted(given)])


def apt_packages(packages: Sequence[Packages]) -> tuple[str, ...]:
    """Return Debian packages as a set, with versions or not."""
    found = sorted({name.strip() for name in flat(packages, "git")})
    for name in found:
        if not _APT.match(name):
            raise BadImage(f"`{name}` is no Debian package: write for example `git` or `git=1:2.39*`.")
    return small(found)


def conda_packages(packages: Sequence[Packages], channels: Sequence[str]) -> tuple[str, ...]:
    """Return conda packages as a set, after the channels in their order."""
    found = sorted({name.strip() for name in flat(packages, "pytorch")})
    for name in (*found, *channels):
        if not _CONDA.match(name) and not (name in channels and name.startswith("https://")):
            raise BadImage(
                f"`{name}` is no conda package or channel: write for example `pytorch=2.4` or `conda-forge`."
            )
    return small([*(f"--channel={name}" for name in channels), *found])


def commands(lines: Sequence[Packages], what: str) -> tuple[str, ...]:
    """Return commands in their order."""
    found = flat(lines, what)
    for line in found:
        if not line.strip() or "\0" in line:
            raise BadImage(f"An empty command is none: write for example `{what}`.")
    return small(found)


def registry_tag(tag: str) -> str:
    """Return the name of an image in a registry."""
    if not isinstance(tag, str) or not _TAG.match(tag):
        raise BadImage(f"`{tag}` is no name of an image: write for example `nvidia/cuda:12.8.0-runtime-ubuntu24.04`.")
    return tag


def secret_names(secrets: Sequence[Secret]) -> tuple[str, ...]:
    """Return the names of secrets as a set."""
    for secret in secrets:
        if not isinstance(secret, Secret):
            raise BadImage(f"`{type(secret).__name__}` is no secret: write for example `Secret.from_name('hf')`.")
    return tuple(sorted({secret.name for secret in secrets}))


def small(texts: Sequence[str]) -> tuple[str, ...]:
    """Refuse more text than a step may have."""
    if sum(len(text.encode()) for text in texts) > STEP_TEXT_LIMIT_BYTES:
        raise BadImage(
            f"One step of an image may have {STEP_TEXT_LIMIT_BYTES >> 10} KiB of text: add a file and use it."
        )
    return tuple(texts)
