"""The rows as values. Times are epoch seconds unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.scopes import ADMIN, CONTAINER_SCOPE, OWNER, SCOPES
from kernel_bridge.protocol.sessions import ContainerState, SessionSpec, SessionState
from remote_runtime.billing.prices import Rates


class CellStatus(StrEnum):
    """How a cell stands or ended."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    ABORTED = "aborted"
    LOST = "lost"  # its container went away


class ImageState(StrEnum):
    """How far an image is."""

    DECLARED = "declared"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session. `container_id` is empty while it has none."""

    id: str
    owner: str
    key: str
    spec: SessionSpec
    state: SessionState
    card: str
    card_count: int
    simulated: bool
    provider: str
    place: str
    isolation: str
    mend: str
    boot_id: str
    arena: str
    epoch: str
    layers: tuple[str, ...]
    container_id: str
    rate_microusd_per_h: int
    idle_since_s: float | None
    pinned_until_s: float | None
    kept_names: tuple[str, ...]
    kept_bytes: int
    kept_until_s: float | None
    kept_lost: dict[str, str]  # what the last hibernation could not save, and why; what expired, too
    opened_at_s: float
    closed_at_s: float | None
    new: bool = False  # opened by this very call


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a session runs, how far it is shut in, and what an hour of it costs."""

    card: str
    card_count: int
    simulated: bool
    provider: str
    place: str
    isolation: str
    mend: str
    boot_id: str
    arena: str
    rate_microusd_per_h: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContainer:
    """What a container is asked to be."""

    provider: str
    card: str  # "A100", or "cpu" with a count of 0
    card_count: int
    simulated: bool
    cpu: float
    memory_bytes: int
    rates: Rates
    place: str = ""
    boot_id: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRow:
    """One container, from being asked for to its end. Whoever acts on it holds its `fence`."""

    id: str
    session_id: str
    provider: str
    place: str
    boot_id: str
    card: str
    card_count: int
    simulated: bool
    cpu: float
    memory_bytes: int
    rates: Rates
    state: ContainerState
    fence: int
    lease_until_s: float
    handle: dict[str, Any] | None
    created_at_s: float
    started_at_s: float | None
    heartbeat_at_s: float | None
    ended_at_s: float | None
    cause: str
    billed: bool  # its ledger lines are written
    devices: tuple[str, ...]  # the UUIDs of its cards; none where they are simulated


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One execution; its id is the msg_id of the execute_request, which is one of a kind in its container only."""

    id: str
    session_id: str
    container_id: str
    status: CellStatus
    code_digest: str
    submitted_at_s: float
    started_at_s: float
    ended_at_s: float | None
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedCell:
    """A cell that was handed to its container."""

    id: str
    session_id: str
    container_id: str
    code_digest: str
    submitted_at_s: float
    started_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedCell:
    """How a cell ended, and the number of the last message that belonged to it."""

    id: str
    container_id: str
    ended_at_s: float
    status: CellStatus
    last_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """One token, without what it is: only its hash is kept."""

    id: str
    name: str
    owner: str
    scope: str
    created_at_s: float
    expires_at_s: float | None
    revoked_at_s: float | None
    last_used_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, as their token says."""

    token_id: str
    name: str
    owner: str
    scope: str

    @property
    def container_id(self) -> str:
        """Return the one container this token is for; empty for a person's token."""
        return self.scope.removeprefix(CONTAINER_SCOPE) if self.scope.startswith(CONTAINER_SCOPE) else ""

    @property
    def is_owner(self) -> bool:
        """Tell whether this is a person's token that may do everything with what is that person's."""
        return self.may(OWNER)

    @property
    def is_admin(self) -> bool:
        """Tell whether this is a token for everything of everyone."""
        return self.may(ADMIN)

    def may(self, scope: str) -> bool:
        """Tell whether this is a person's token of that scope or of a wider one."""
        return self.scope in SCOPES and SCOPES.index(self.scope) >= SCOPES.index(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRow:
    """One secret: the names of its variables, and its values sealed."""

    owner: str
    name: str
    keys: tuple[str, ...]
    sealed: str
    created_at_s: float
    updated_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRow:
    """One volume. The size is what the last look found."""

    owner: str
    name: str
    created_at_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One image. `path` is where it was built, `error` the line that says why it was not."""

    digest: str
    recipe: ImageRecipe
    state: ImageState
    path: str
    log_path: str
    error: str
    build_s: float
    created_at_s: float
    used_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """One blob that is here."""

    digest: str
    size_bytes: int
    created_at_s: float
    used_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the bill: so much of a resource, for so long, at that rate."""

    container_id: str
    session_id: str
    owner: str
    resource: str  # "gpu A100", "cpu", "memory"
    use: str  # "active" or "idle"
    quantity: float  # cards, cores or GiB
    rate_microusd_per_h: int  # of one
    started_at_s: float  # of the container
    ended_at_s: float
    duration_ms: int  # of this use, within the container's life
    cost_microusd: int
    place: str
    simulated: bool
    price_table: str

    @property
    def seconds(self) -> float:
        """Return the length of this use."""
        return self.duration_ms / 1000
