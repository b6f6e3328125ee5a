"""What a provider is: offers, start, poll, stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from kernel_bridge.protocol.containers import ContainerConfig

Handle = dict[str, Any]  # plain JSON: it is stored, and good after a restart of the control plane


class Phase(StrEnum):
    """Where a container stands, as its provider sees it."""

    RUNNING = "running"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The answer to a poll. How and when it ended are known where something wrote them down."""

    phase: Phase
    cause: str = ""
    ended_at_s: float | None = None
    details: dict[str, Any] = field(default_factory=dict)  # whatever else its supervisor recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Cards of one name that containers can have here. Real ones are told apart by their UUIDs."""

    card: str
    total: int
    simulated: bool = False
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Cards of one name at one provider: how many there are, and how many no container holds."""

    provider: str
    card: str
    total: int
    free: int
    simulated: bool = False
    devices: tuple[str, ...] = ()  # the UUIDs of the free ones, where they are real


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container to start: what it is told, and what its parent should have imported already."""

    config: ContainerConfig
    directory: Path  # the container's own, for whatever its provider has to write down
    owner: str = ""  # whose it is: what belongs to two people shares nothing that runs
    preload: tuple[str, ...] = ()
    image: str = ""  # a tag or an id its engine knows; empty: its provider's own, for a recipe of packages alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a provider's containers run, as everyone may know."""

    place: str  # the host
    boot_id: str
    isolation: str  # one word: how far cells are kept from the host
    mend: str = ""  # where it is weaker than it should be: the line that mends it
    cores: float = 0.0  # what one container can have at most; zero where nobody knows
    memory_bytes: int = 0
    starts_images: bool = False  # containers begin as an image of an engine, whatever is in it


class Provider(Protocol):
    """A place containers come from. Every method may be called again after a restart."""

    name: str
    ground: Ground

    async def offers(self) -> Sequence[Offer]:
        """Return the cards there are, taken or not. Unreachable means none, not an error."""

    async def start(self, spec: ContainerSpec) -> Handle:
        """Ask for a container and return as soon as it has a name; raises StartFailed."""

    async def poll(self, handle: Handle) -> Status:
        """Return where it stands. A container nobody knows is GONE, never an exception."""

    async def stop(self, handle: Handle) -> None:
        """Let it go and return when it is gone. Stopping what is gone already is success."""

    async def reachable(self) -> bool:
        """Tell whether it answers, so that a container could be asked for; never an exception."""

    async def close(self) -> None:
        """Let go of what belongs to this process alone; containers run on."""
