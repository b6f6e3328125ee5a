"""What an operator can choose, read once from the environment into a frozen value."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import platformdirs

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.resources import GpuRequest, parse_gpu, parse_size
from kernel_bridge.protocol.version import STORE_SCHEMA

# What a container is told of the machine it runs on. A list of what goes in, not of what stays out: the runtime's own
# environment holds things that user code has no business with.
_HANDED_ON: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
PROVIDERS: Final = ("process", "docker")
_DOCKER_IMAGE: Final = "python:{python}-slim"
_DOCKER_NETWORK: Final = "bridge"
_MASTER_KEY: Final = "CELLBURST_MASTER_KEY"
_HANDED_ON_FAMILIES: Final = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can choose, with the defaults a laptop wants. Times are seconds."""

    data_dir: Path
    runtime_dir: Path
    database_url: str = ""  # empty: SQLite in the data directory
    socket: Path | None = None  # None: in the runtime directory, unless there is a port
    host: str = "127.0.0.1"
    port: int | None = None  # a number, 0 for any free one: listen on TCP instead of a socket
    embedded: bool = False  # started by a notebook: goes away when nothing is left
    simulate: GpuRequest = GpuRequest()
    providers: tuple[str, ...] = PROVIDERS[:1]  # where containers come from; the first is for sessions that do not care
    docker_host: str = ""  # of the container engine; empty: the first socket of this host that is there
    docker_image: str = _DOCKER_IMAGE  # of sessions whose recipe is packages alone
    docker_network: str = _DOCKER_NETWORK  # the engine's, of sessions that have one
    build_network: str = ""  # of commands that build an image, as for `docker build --network`; empty: the engine's own
    prices: Path | None = None
    master_key: str = field(default="", repr=False)
    master_key_source: str = ""  # file, env or keyring; empty: env where the key is given, else file
    log_level: str = "info"
    log_format: str = "auto"  # on standard error: json, text, or auto: text on a terminal
    arena_dir: Path | None = None  # None: a tmpfs of our own where that can be had
    idle_after_s: float = DEFAULTS.idle_after_s
    freeze_after_s: float = DEFAULTS.freeze_after_s
    linger_s: float = DEFAULTS.linger_s
    heartbeat_s: float = DEFAULTS.heartbeat_s
    orphan_after_s: float = DEFAULTS.orphan_after_s
    runtime_lost_after_s: float = DEFAULTS.runtime_lost_after_s
    sandbox: bool = True  # False: cells run unprotected, as the user the runtime is
    pids: int = DEFAULTS.pids
    disk_bytes: int = DEFAULTS.disk_bytes
    disk_reserve_bytes: int = DEFAULTS.disk_reserve_bytes
    hibernated_kept_s: float = DEFAULTS.hibernated_kept_s
    unused_kept_s: float = DEFAULTS.unused_kept_s
    records_kept_s: float = DEFAULTS.records_kept_s
    blob_budget_bytes: int = DEFAULTS.blob_budget_bytes
    image_budget_bytes: int = DEFAULTS.image_budget_bytes
    tidy_every_s: float = 600.0
    tick_s: float = 1.0  # between two rounds of the reconciler
    container_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_env: Mapping[str, str] = field(default_factory=dict, repr=False)  # for pip's and uv's configuration

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `CELLBURST_*`; raises BadOption naming the variable whose value cannot be."""
        return cls(
            data_dir=_path(env, "CELLBURST_DATA_DIR") or default_data_dir(),
            runtime_dir=_path(env, "CELLBURST_RUNTIME_DIR") or default_runtime_dir(env),
            database_url=env.get("CELLBURST_DATABASE_URL", ""),
            socket=_path(env, "CELLBURST_SOCKET"),
            host=env.get("CELLBURST_HOST", "127.0.0.1"),
            port=int(_number(env, "CELLBURST_PORT", 0)) if env.get("CELLBURST_PORT") else None,
            simulate=parse_gpu(env.get("CELLBURST_SIMULATE_GPUS") or "cpu"),
            providers=parse_providers("CELLBURST_PROVIDERS", env.get("CELLBURST_PROVIDERS", "")),
            docker_host=env.get("CELLBURST_DOCKER_HOST") or env.get("DOCKER_HOST", ""),
            docker_image=env.get("CELLBURST_DOCKER_IMAGE") or _DOCKER_IMAGE,
            docker_network=env.get("CELLBURST_DOCKER_NETWORK") or _DOCKER_NETWORK,
            build_network=env.get("CELLBURST_BUILD_NETWORK", ""),
            prices=_path(env, "CELLBURST_PRICES"),
            master_key=env.get(_MASTER_KEY, ""),
            master_key_source=_one_of(env, "CELLBURST_MASTER_KEY_SOURCE", ("file", "env", "keyring")),
            log_level=_level(env),
            log_format=_log_format(env),
            arena_dir=_path(env, "CELLBURST_ARENA_DIR"),
            idle_after_s=_number(env, "CELLBURST_IDLE_AFTER_S", DEFAULTS.idle_after_s),
            freeze_after_s=_number(env, "CELLBURST_FREEZE_AFTER_S", DEFAULTS.freeze_after_s),
            linger_s=_number(env, "CELLBURST_LINGER_S", DEFAULTS.linger_s),
            heartbeat_s=_number(env, "CELLBURST_HEARTBEAT_S", DEFAULTS.heartbeat_s),
            orphan_after_s=_number(env, "CELLBURST_ORPHAN_AFTER_S", DEFAULTS.orphan_after_s),
            runtime_lost_after_s=_number(env, "CELLBURST_RUNTIME_LOST_AFTER_S", DEFAULTS.runtime_lost_after_s),
            sandbox=_switch(env, "CELLBURST_SANDBOX"),
            pids=int(_number(env, "CELLBURST_PIDS", DEFAULTS.pids)),
            disk_bytes=_size(env, "CELLBURST_DISK", DEFAULTS.disk_bytes),
            disk_reserve_bytes=_size(env, "CELLBURST_DISK_RESERVE", DEFAULTS.disk_reserve_bytes),
            hibernated_kept_s=_number(env, "CELLBURST_STATE_KEPT_S", DEFAULTS.hibernated_kept_s),
            unused_kept_s=_number(env, "CELLBURST_UNUSED_KEPT_S", DEFAULTS.unused_kept_s),
            records_kept_s=_number(env, "CELLBURST_RECORDS_KEPT_S", DEFAULTS.records_kept_s),
            blob_budget_bytes=_size(env, "CELLBURST_BLOB_BUDGET", DEFAULTS.blob_budget_bytes),
            image_budget_bytes=_size(env, "CELLBURST_IMAGE_BUDGET", DEFAULTS.image_budget_bytes),
            container_env={key: value for key, value in env.items() if _goes_in(key)},
            own_env={key: value for key, value in env.items() if key != _MASTER_KEY},
        )

    @property
    def store_url(self) -> str:
        """Return the address of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'store.sqlite3'}"

    @property
    def socket_path(self) -> Path:
        """Return where the unix socket is when there is no port."""
        return self.socket or self.runtime_dir / "runtime.sock"


def agents_door(path: Path) -> Path:
    """Return the socket's other name, in a directory that agents may see: beside the first lies the owner's token."""
    return path.parent / "agents" / path.name


def default_data_dir() -> Path:
    """Return this user's data directory of this store schema."""
    return platformdirs.user_data_path("cellburst") / f"v{STORE_SCHEMA}"


def default_runtime_dir(env: Mapping[str, str]) -> Path:
    """Return where sockets lie: under XDG_RUNTIME_DIR, else in a folder of this user's own among temporary files."""
    base = env.get("XDG_RUNTIME_DIR")
    key = f"v{STORE_SCHEMA}"
    return Path(base, "cellburst", key) if base else Path(tempfile.gettempdir(), f"cellburst-{os.getuid()}-{key}")


def parse_providers(said: str, text: str) -> tuple[str, ...]:
    """Read `process,docker`, empty for the usual; raises BadOption that names who said it."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in PROVIDERS:
            raise BadOption(f"{said} is {text!r}: it wants one or more of {', '.join(PROVIDERS)}.")
    return names or PROVIDERS[:1]


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]).expanduser().absolute() if env.get(name) else None


def _number(env: Mapping[str, str], name: str, usual: float) -> float:
    try:
        number = float(env.get(name) or usual)
    except ValueError:
        raise BadOption(f"{name} is {env[name]!r}: it wants a number.") from None
    if not 0 <= number < float("inf"):
        raise BadOption(f"{name} is {env[name]!r}: it wants a number from 0 on.")
    return number


def _switch(env: Mapping[str, str], name: str) -> bool:
    chosen = env.get(name, "on").lower()
    if chosen not in ("on", "off"):
        raise BadOption(f"{name} is {chosen!r}: it wants on or off.")
    return chosen == "on"


def _size(env: Mapping[str, str], name: str, usual: int) -> int:
    try:
        return parse_size(env[name]) if env.get(name) else usual
    except BadOption as error:
        raise BadOption(f"{name}: {error}") from None


def _level(env: Mapping[str, str]) -> str:
    level = env.get("CELLBURST_LOG_LEVEL", "info").lower()
    if level not in ("debug", "info", "warning", "error"):
        raise BadOption(f"CELLBURST_LOG_LEVEL is {level!r}: it wants debug, info, warning or error.")
    return level


def _one_of(env: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    chosen = env.get(name, "").lower()
    if chosen and chosen not in words:
        raise BadOption(f"{name} is {env[name]!r}: it wants {', '.join(words[:-1])} or {words[-1]}.")
    return chosen


def _log_format(env: Mapping[str, str]) -> str:
    chosen = env.get("CELLBURST_LOG_FORMAT", "auto").lower()
    if chosen not in ("auto", "json", "text"):
        raise BadOption(f"CELLBURST_LOG_FORMAT is {chosen!r}: it wants json, text or auto.")
    return chosen


def _goes_in(name: str) -> bool:
    return name in _HANDED_ON or name.startswith(_HANDED_ON_FAMILIES)
