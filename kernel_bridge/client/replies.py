"""What the control plane answers, besides sessions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CardStock:
    """How many cards of one name the runtime has."""

    card: str
    total: int
    free: int = 0
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """An image recipe, and how it stands."""

    digest: str
    label: str = ""
    base: str = ""
    python: str = ""
    state: str = ""
    seconds: float = 0.0
    detail: str = ""
    image: str = ""
    size_bytes: int = 0
    used_at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """One thing that a runtime let go of, or would."""

    kind: str = ""
    name: str = ""
    size_bytes: int = 0
    used_at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Everything that a runtime let go of, or would."""

    removed: tuple[Removed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """What a runtime says of itself."""

    version: str = ""
    protocol: int = 0
    schema: int = 0
    embedded: bool = False
    boot_id: str = ""
    place: str = ""
    isolation: str = ""
    mend: str = ""
    cards: tuple[CardStock, ...] = ()
    python_versions: tuple[str, ...] = ()
    own_python: str = ""
    arena: str = ""  # how memory is shared with a notebook on its host
    price_table: str = ""
    pid: int = 0
    busy: bool = False
    containers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeInfo:
    """One volume. What follows the size is known where one volume was asked for."""

    name: str
    created_at_s: float = 0.0
    size_bytes: int = 0
    files: int = 0
    disk_bytes: int = 0  # holes take nothing
    history_bytes: int = 0  # of disk, for its versions
    growth_week_bytes: int = 0
    quota_bytes: int = 0  # 0: none
    free_bytes: int = 0  # of the disk it is on
    cost_month_microusd: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One version of a volume."""

    version: int
    created_at_s: float = 0.0
    message: str = ""
    files: int = 0
    size_bytes: int = 0
    new_bytes: int = 0  # of disk, beyond what earlier versions hold
    skipped: int = 0  # pipes, sockets and devices, which no version holds


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file or directory of a volume. `path` is from its root, with forward slashes."""

    path: str
    kind: str = "file"
    size_bytes: int = 0
    modified_at_s: float = 0.0
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretInfo:
    """One secret: the names of its variables, never their values."""

    name: str
    keys: tuple[str, ...] = ()
    created_at_s: float = 0.0
    updated_at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """One token, without what it is."""

    id: str
    name: str = ""
    owner: str = ""
    scope: str = ""
    created_at_s: float = 0.0
    expires_at_s: float | None = None
    last_used_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInfo:
    """A package layer that is ready to be linked in."""

    path: str
    seconds: float = 0.0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """One line of the bill: so much of a resource for so long."""

    container_id: str = ""
    session_id: str = ""
    resource: str = ""  # "gpu A100", "cpu", "memory"
    use: str = ""  # "active" or "idle"
    quantity: float = 0.0  # cards, cores or GiB
    rate_microusd_per_h: int = 0  # of one
    started_at_s: float = 0.0
    ended_at_s: float = 0.0
    duration_ms: int = 0
    cost_microusd: int = 0
    place: str = ""
    simulated: bool = False
    price_table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The ledger's lines, and those of running containers as if they ended now."""

    entries: tuple[UsageLine, ...] = ()
    running: tuple[UsageLine, ...] = ()
    spent_microusd: int = 0
    price_table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInfo:
    """One execution in a session."""

    id: str
    session_id: str = ""
    container_id: str = ""
    status: str = ""
    code_digest: str = ""
    submitted_at_s: float = 0.0
    started_at_s: float = 0.0
    ended_at_s: float | None = None
    last_seq: int = 0
