"""Python, our own dependencies, uv, and whether packages can be had."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from uv import find_uv_bin

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.images.pip_config import read_pip_options, redact
from remote_runtime.images.uv import failing_line

DISTRIBUTION: Final = "cellburst"
_UV_S: Final = 5.0
_INDEX_S: Final = 8.0
_ASKED_FOR: Final = "xxhash"  # every environment has it


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What there is to make environments with."""

    python: str
    python_wanted: str  # a version specifier; empty for a checkout that is not installed
    unfit: tuple[str, ...] = ()  # dependencies of ours that are missing or of another version
    uv: str = ""  # its version; empty where it does not run
    uv_problem: str = ""
    cache: Path | None = None
    index_problem: str | None = ""  # empty: it answered; None: not asked


def probe(env: Mapping[str, str]) -> PackageFacts:
    """Ask uv for its version and its cache, and through it, as the host configures it, the package index."""
    variables = read_pip_options(env).environment()
    wanted, unfit = _own_requirements()
    try:
        program = find_uv_bin()
    except FileNotFoundError as error:
        return PackageFacts(
            python=platform.python_version(),
            python_wanted=wanted,
            unfit=unfit,
            uv_problem=str(error),
            index_problem=None,
        )
    version, problem = _ask([program, "--version"], variables)
    cache, _ = _ask([program, "cache", "dir"], variables)
    return PackageFacts(
        python=platform.python_version(),
        python_wanted=wanted,
        unfit=unfit,
        uv=version,
        uv_problem=problem,
        cache=Path(cache) if cache else None,
        index_problem=_ask_index(program, variables) if version else None,
    )


def judge(facts: PackageFacts) -> tuple[Finding, ...]:
    """Say whether environments can be made."""
    index = [] if facts.index_problem is None else [_index(facts.index_problem)]
    return (_python(facts), _requirements(facts), _uv(facts), *index)


def unfit(requirements: Iterable[str], versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return which of these requirements are not met by what is installed, each with what there is."""
    found = []
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        have = versions.get(wanted.name.lower().replace("_", "-"))
        if have is None or not wanted.specifier.contains(have, prereleases=True):
            found.append(f"{wanted.name}{wanted.specifier} (here: {have or 'none'})")
    return tuple(found)


def _python(facts: PackageFacts) -> Finding:
    if not facts.python_wanted or SpecifierSet(facts.python_wanted).contains(facts.python, prereleases=True):
        means = "Cells will run in this version of Python unless their image says another."
        return _finding("Python", Grade.OK, f"{facts.python}, {sys.executable}", means)
    return _finding(
        "Python", Grade.MISSING, f"{facts.python}; wanted {facts.python_wanted}",
        "Cells will not run: this release was not made for this Python.",
        f"uv tool install --python 3.11 {DISTRIBUTION}", vital=True,
    )  # fmt: skip


def _requirements(facts: PackageFacts) -> Finding:
    if facts.unfit:
        return _finding(
            "own packages", Grade.MISSING, ", ".join(facts.unfit), "Cells will not run: the runtime may not start.",
            f"{Path(sys.executable).name} -m pip install --upgrade {DISTRIBUTION}", vital=True,
        )  # fmt: skip
    means = "Cells will meet versions that this release was made for."
    return _finding("own packages", Grade.OK, "all that the runtime needs is installed", means)


def _uv(facts: PackageFacts) -> Finding:
    if facts.uv:
        return _finding("uv", Grade.OK, facts.uv, "Cells will have their packages installed by it.")
    return _finding(
        "uv", Grade.MISSING, redact(facts.uv_problem) or "it is not installed",
        "Cells will not run: no environment can be made for them.",
        f"{Path(sys.executable).name} -m pip install --upgrade uv", vital=True,
    )  # fmt: skip


def _index(problem: str) -> Finding:
    if not problem:
        means = "Cells will have the packages they import installed while they wait."
        return _finding(
            "package index", Grade.OK, f"uv found {_ASKED_FOR}, as this host's pip and uv are set up", means
        )
    return _finding(
        "package index", Grade.WEAKER, problem,
        "Cells will run with packages that are in uv's cache; others cannot be installed.",
        "Set UV_DEFAULT_INDEX or pip's `index-url` to an index this host reaches, and HTTPS_PROXY where it has to.",
    )  # fmt: skip


def _own_requirements() -> tuple[str, tuple[str, ...]]:
    try:
        own = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "", ()
    names = [name for each in importlib.metadata.distributions() if (name := each.metadata["Name"])]
    versions = {name.lower().replace("_", "-"): importlib.metadata.version(name) for name in names}
    return own["Requires-Python"] or "", unfit(own.get_all("Requires-Dist") or [], versions)


def _ask(command: list[str], variables: Mapping[str, str]) -> tuple[str, str]:
    """Return what a program said, and what was wrong with it."""
    try:
        done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=False, timeout=_UV_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", done.stderr.strip() or "it failed")


def _ask_index(program: str, variables: Mapping[str, str]) -> str:
    """Return why no package can be found, empty when one was. Nothing is downloaded, no cache is used."""
    with tempfile.TemporaryDirectory(prefix="cellburst-doctor-") as folder:
        wanted = Path(folder, "wanted.in")
        wanted.write_text(f"{_ASKED_FOR}\n")
        command = [
            program,
            "pip",
            "compile",
            "--quiet",
            "--no-cache",
            "--no-deps",
            "--python",
            sys.executable,
            str(wanted),
        ]
        chosen = {**variables, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": f"{_INDEX_S / 2:.0f}"}
        try:
            done = subprocess.run(
                command, env=chosen, cwd=folder, capture_output=True, text=True, check=False, timeout=_INDEX_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return f"no answer within {_INDEX_S:.0f} s"
    return "" if done.returncode == 0 else redact(failing_line(done.stderr.splitlines()))


def _finding(subject: str, grade: Grade, found: str, means: str, mend: str = "", *, vital: bool = False) -> Finding:
    return Finding(group=Group.PACKAGES, subject=subject, grade=grade, found=found, means=means, mend=mend, vital=vital)
