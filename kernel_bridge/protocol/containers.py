"""What a container is told when it starts: sent by the control plane, read by the supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A directory of the host and the absolute path at which the container sees it.

    `below` is a folder in it that is shown alone. Cells write there, so a link on the way to it is not followed.
    """

    source: str
    target: str
    read_only: bool = False
    below: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """One container. Never stored: `env` holds secrets and `token` opens the control plane."""

    container_id: str
    session_id: str
    epoch: str  # of the namespace it starts or resumes
    control_url: str  # `unix:/path/to/socket` or `http(s)://host:port`
    token: str  # good for this container alone
    python: str  # the environment's interpreter
    work_dir: str  # the session's private working directory
    notebook_directory: str = ""  # the absolute path at which the working directory appears, where it can
    state_dir: str = ""  # where hibernation saves and from where waking restores
    again: bool = False  # it takes the place of one that hibernated or was lost
    arena_dir: str = ""  # shared with the notebook when it is on this host
    exit_file: str = ""  # written when the container ends: {"cause": ..., "ended_at_s": ...}
    log_file: str = ""
    log_level: str = "info"
    mounts: tuple[Mount, ...] = ()  # volumes
    layers: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    secret_keys: tuple[str, ...] = ()  # the variables of `env` whose values nobody may see
    card: str = "cpu"
    card_count: int = 0
    simulated: bool = False
    devices: tuple[str, ...] = ()  # the UUIDs of its cards; none where they are simulated
    device_files: tuple[str, ...] = ()  # through which their driver is reached, where no engine sees to that
    network: bool = True
    memory_bytes: int = 0  # its limits: zero is none of its own
    cpu: float = 0.0
    pids: int = 0  # processes and threads
    disk_bytes: int = 0  # of its files
    disk_reserve_bytes: int = 0  # what a cell has to leave free on their file system
    cgroups: tuple[str, ...] = ()  # the directories of its control groups, one in each tree of the host
    heartbeat_s: float = 5.0
    freeze_after_s: float = 0.0  # idle for so long, user code is frozen; zero: never
    runtime_lost_after_s: float = 120.0
