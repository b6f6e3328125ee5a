"""A container engine: whether one answers. Cells need none unless the operator takes containers from it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from remote_runtime.doctor.findings import Finding, Grade, Group

_SOCKETS: Final = ("/var/run/docker.sock", "/run/podman/podman.sock")
_ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What the engine's socket answered."""

    socket: str  # empty: there is none
    version: str = ""
    problem: str = ""


def probe(env: Mapping[str, str]) -> EngineFacts:
    """Ask the engine for its version."""
    chosen = env.get("CELLBURST_DOCKER_HOST") or env.get("DOCKER_HOST", "")
    places = [chosen.removeprefix("unix://")] if chosen.startswith("unix://") else _places(env)
    sockets = [path for path in places if Path(path).exists()]
    if not sockets:
        return EngineFacts(socket="", problem=f"none at {', '.join(places)}")
    return _ask(sockets[0])


def judge(facts: EngineFacts) -> tuple[Finding, ...]:
    """Say what it would add."""
    if facts.version:
        found, grade, mend = f"{facts.version}, at {facts.socket}", Grade.OK, ""
        means = "Cells can run in its containers, with `runtime serve --provider docker`; else they are processes."
    else:
        found, grade = facts.problem, Grade.MISSING
        means = "Cells will run without it, as processes. It would add images with system packages."
        mend = "sudo apt install docker.io && sudo usermod -aG docker $USER (then `runtime serve --provider docker`)"
    return (
        Finding(group=Group.EXTRAS, subject="Docker", grade=grade, found=found, means=means, mend=mend),
    )  # fmt: skip


def _places(env: Mapping[str, str]) -> list[str]:
    own = env.get("XDG_RUNTIME_DIR", "")
    return [*_SOCKETS, *([f"{own}/docker.sock", f"{own}/podman/podman.sock"] if own else [])]


def _ask(path: str) -> EngineFacts:
    try:
        with socket.socket(socket.AF_UNIX) as trial:  # the HTTP library leaves its own open when nobody listens
            trial.connect(path)
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=path, verify=False), timeout=_ANSWER_S) as client:
            told = client.get("http://localhost/version").raise_for_status().json()
        return EngineFacts(socket=path, version=f"{_name(told)} {told['Version']}")
    except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        return EngineFacts(socket=path, problem=f"{path} does not answer: {error or type(error).__name__}")


def _name(told: Mapping[str, object]) -> str:
    return "Podman" if "podman" in str(told).lower() else "Docker"
