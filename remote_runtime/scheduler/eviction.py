"""What may be removed so that nothing grows for ever. Pure: what is kept in, what goes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a thing on the disk is."""

    BLOB = "blob"
    ENVIRONMENT = "environment"
    IMAGE = "image"  # of a container engine
    LAYER = "layer"
    FILES = "files"  # that came inside recipes
    BYTECODE = "bytecode"
    BUILD = "build"  # logs, records and what an interrupted build left
    CONTAINER = "container"  # the folder of one that has ended
    SESSION = "session"  # the folders of one that is closed or unknown
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One thing that is kept. `needed`: a session that stands may come back for it."""

    kind: Kind
    name: str
    size_bytes: int
    used_at_s: float
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much of something may be kept, and for how long when nobody uses it."""

    kept_s: float
    size_bytes: int | None = None  # None: time alone decides
    spared_s: float = 7200.0  # used this lately: somebody may have it in hand without having said so yet


def superfluous(kept: Iterable[Kept], budget: Budget, now_s: float) -> list[Kept]:
    """Return what has to go, longest unused first: what nobody used for long, then as much as is over the budget.

    What is needed or was just used stays, even if the budget is then not kept. The clock may have been set back: what
    was used in the future was used just now.
    """
    everything = list(kept)
    free = [one for one in everything if not one.needed and now_s - one.used_at_s >= budget.spared_s]
    excess = 0
    if budget.size_bytes is not None:
        excess = sum(one.size_bytes for one in everything) - budget.size_bytes
    gone: list[Kept] = []
    for one in sorted(free, key=lambda one: (one.used_at_s, one.name)):
        if now_s - one.used_at_s < budget.kept_s and excess <= 0:
            break
        gone.append(one)
        excess -= one.size_bytes
    return gone


def ended_containers(folders: Iterable[Kept], live: frozenset[str]) -> list[Kept]:
    """Mark what a session may still be asked for: live containers, and of the ended ones the latest, for its log.

    A name is `session/container`.
    """
    everything = list(folders)
    latest: dict[str, Kept] = {}
    for one in sorted(everything, key=lambda one: (one.used_at_s, one.name)):
        if one.name.partition("/")[2] not in live:
            latest[one.name.partition("/")[0]] = one
    stay = {one.name for one in latest.values()}
    return [
        Kept(
            kind=one.kind,
            name=one.name,
            size_bytes=one.size_bytes,
            used_at_s=one.used_at_s,
            needed=one.name in stay or one.name.partition("/")[2] in live,
        )
        for one in everything
    ]
