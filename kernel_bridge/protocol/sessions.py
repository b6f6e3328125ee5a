"""A session: the tie between one notebook kernel and one specification."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.wire import to_wire


class SessionState(StrEnum):
    """Where a session stands."""

    OPEN = "open"  # it has, or is getting, a container
    HIBERNATED = "hibernated"  # no container; its state is kept
    CLOSED = "closed"  # over; its name is free again


class ContainerState(StrEnum):
    """Where a container stands; the legal moves are in remote_runtime/scheduler/lifecycle.py."""

    PENDING = "pending"
    BUILDING = "building"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    HIBERNATING = "hibernating"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A volume, or a folder of it, or a version of it, and the absolute path it appears at."""

    name: str
    path: str
    read_only: bool = False
    sub_path: str = ""  # a folder of the volume, from its root
    version: int = 0  # a committed version, which is always read only; 0: the volume as it is
    model_cache: bool = False  # where libraries keep the weights they fetch

    @property
    def source(self) -> str:
        """Return what is mounted, as `--volume` takes it: `models`, `models/sub`, `models@3/sub`."""
        version = f"@{self.version}" if self.version else ""
        return f"{self.name}{version}{'/' if self.sub_path else ''}{self.sub_path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """Who asks: one running kernel and the folder it works in."""

    kernel_id: str  # fresh for every kernel process
    path: str = ""  # the notebook's file, where the front end tells it
    directory: str = ""  # the kernel's working directory, absolute, on its own machine
    boot_id: str = ""  # the machine the kernel runs on
    pid: int = 0
    python: str = ""  # "3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """What a session is asked to be. Two cells with equal keys share it."""

    notebook: Notebook
    image: ImageRecipe
    gpu: str = "any"
    volumes: tuple[VolumeMount, ...] = ()
    secrets: tuple[str, ...] = ()
    cpu: float = 0.0  # what was asked for is what it may use; zero: nothing particular, and no limit of its own
    memory_bytes: int = 0
    idle_after_s: float = DEFAULTS.idle_after_s
    network: bool = True  # False: its cells reach nothing but themselves
    name: str = ""  # `--session NAME`: shared by notebooks of one user that say the same name
    provider: str = ""  # where its containers come from; empty: the first of the runtime's that can

    @property
    def billed_cpu(self) -> float:
        """Return the cores that are paid for."""
        return self.cpu or DEFAULTS.cpu

    @property
    def billed_memory_bytes(self) -> int:
        """Return the memory that is paid for."""
        return self.memory_bytes or DEFAULTS.memory_bytes

    @property
    def key(self) -> str:
        """Return the digest that makes two requests the same session; the idle window is not part of it."""
        asked = to_wire(self)
        del asked["idle_after_s"]
        if not self.provider:  # sessions of who could not say it are the same as before
            del asked["provider"]
        asked["notebook"] = {"name": self.name} if self.name else {"kernel_id": self.notebook.kernel_id}
        asked["image"] = self.image.digest
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as everyone may see it."""

    id: str
    state: SessionState
    spec: SessionSpec
    card: str = ""  # what was placed: "A100", "cpu"; empty before placement
    card_count: int = 0
    simulated: bool = False
    provider: str = ""
    place: str = ""  # the host
    isolation: str = ""  # one word: sandboxed, confined or open
    mend: str = ""  # where the isolation is weaker than it should be: the line that mends it
    boot_id: str = ""  # of the host the container runs on
    arena: str = ""  # a directory of that host, shared by a notebook on it and the container
    epoch: str = ""  # names the namespace; another one means the state is another
    layers: tuple[str, ...] = ()  # package layers linked in so far
    container_id: str = ""
    container_state: ContainerState | None = None
    container_started_at_s: float | None = None  # epoch seconds
    rate_microusd_per_h: int = 0
    spent_microusd: int = 0
    idle_since_s: float | None = None
    frozen: bool = False  # it idles and uses no processor until the next cell
    pinned_until_s: float | None = None
    new: bool = False  # opened by this very request
    kept_names: tuple[str, ...] = field(default=())  # hibernated: what its state holds
    kept_bytes: int = 0  # and how much of a disk that is
    kept_until_s: float | None = None  # and until when, in epoch seconds
    lost: dict[str, str] = field(default_factory=dict)  # what the last hibernation could not save, or expired: why
    unsaved: str = ""  # why its state could not be saved when that was last tried: its container stays
