"""Where things are for this user: directories, sockets, the runtime to talk to. The one reader of the environment."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import platformdirs

from kernel_bridge.errors import BadOption, RuntimeUnreachable
from kernel_bridge.protocol.version import STORE_SCHEMA

CODE: Final = "code"  # what comes home from a runtime may be whatever Python has: rebuilding it runs code
DATA: Final = "data"  # plain data alone
TRUST: Final = (CODE, DATA)

_APP: Final = "cellburst"
_SOCKET_PATH_LIMIT: Final = 100  # bytes; the kernel takes 107, macOS 103


@dataclass(frozen=True, slots=True)
class Address:
    """Where a runtime answers, and the token it knows us by."""

    url: str  # http(s)://host:port; with a socket only its path part matters
    token: str = field(default="", repr=False)
    socket: str = ""  # a unix socket's path

    def __str__(self) -> str:
        return self.socket or self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """The directories of this user and the runtime chosen by hand, if one was."""

    config_dir: Path
    data_dir: Path
    runtime_dir: Path
    url: str = ""
    token: str = field(default="", repr=False)
    trust: str = CODE
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> ClientConfig:
        """Read the environment and the saved connection; raises BadOption or RuntimeUnreachable."""
        env = dict(os.environ if env is None else env)
        config_dir = _directory(
            env, "CELLBURST_CONFIG_DIR", "XDG_CONFIG_HOME", platformdirs.user_config_path(_APP, False)
        )
        data_dir = _directory(env, "CELLBURST_DATA_DIR", "XDG_DATA_HOME", platformdirs.user_data_path(_APP, False))
        saved = _read_connection(config_dir / "connection.json")
        url = env.get("CELLBURST_URL", "")
        return cls(
            config_dir=config_dir,
            data_dir=data_dir if env.get("CELLBURST_DATA_DIR") else data_dir / f"v{STORE_SCHEMA}",
            runtime_dir=_runtime_dir(env),
            url=check_url(url or saved.get("url", "")),
            token=env.get("CELLBURST_TOKEN") or ("" if url else saved.get("token", "")),
            trust=check_trust(env.get("CELLBURST_TRUST") or ("" if url else saved.get("trust", "")) or CODE),
            environment=env,
        )

    @property
    def connected(self) -> Address | None:
        """Return the runtime that was chosen by hand, or None for this machine's own."""
        return Address(self.url, self.token) if self.url else None

    @property
    def socket_path(self) -> Path:
        """Return the socket of this machine's own runtime."""
        return self.runtime_dir / "runtime.sock"

    @property
    def running_lock(self) -> Path:
        """Return the file this machine's own runtime holds locked for as long as it lives."""
        return self.runtime_dir / "runtime.lock"

    @property
    def token_path(self) -> Path:
        """Return the file that holds the token of this machine's own runtime."""
        return self.runtime_dir / "token"

    @property
    def log_path(self) -> Path:
        """Return where this machine's own runtime writes its log."""
        return self.data_dir / "runtime.log"

    def embedded_address(self) -> Address:
        """Return this machine's own runtime as it would answer now; the token is empty before its first start."""
        try:
            token = self.token_path.read_text().strip()
        except OSError:
            token = ""
        where = str(_read_json(self.runtime_dir / "runtime.json").get("address", ""))
        if where.startswith("http"):  # one that was started by hand, to serve others too
            return Address(where.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"), token)
        return Address("http://localhost", token, where.removeprefix("unix:") or str(self.socket_path))

    def save_connection(self, url: str, token: str, trust: str = CODE) -> None:
        """Remember a runtime for every later kernel of this user, in a file only they can read."""
        saved = {"url": check_url(url), "token": token, "trust": check_trust(trust)}
        write_private(self.config_dir / "connection.json", json.dumps(saved))

    def forget_connection(self) -> None:
        """Go back to this machine's own runtime."""
        (self.config_dir / "connection.json").unlink(missing_ok=True)


def check_url(url: str) -> str:
    """Return the URL without a trailing slash; raises BadOption if it is none, or carries a token."""
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadOption(f"`{url}` is not a runtime's address: write for example `https://gpu-host:8443`.")
    if parts.username or parts.password or parts.query:
        raise BadOption("The token does not belong into the address: it is asked for, or read from CELLBURST_TOKEN.")
    return url.rstrip("/")


def check_trust(text: str) -> str:
    """Return what a runtime is trusted with; raises BadOption."""
    if text not in TRUST:
        raise BadOption(f"`trust={text}`: write `trust=data` for plain data alone, or `trust=code`.")
    return text


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def _directory(env: Mapping[str, str], ours: str, xdg: str, default: Path) -> Path:
    if env.get(ours):
        return Path(env[ours]).absolute()
    return Path(env[xdg]) / _APP if env.get(xdg) else default


def _runtime_dir(env: Mapping[str, str]) -> Path:
    """Return a directory for the socket: short enough, and nobody else's."""
    if env.get("CELLBURST_RUNTIME_DIR"):
        return _short_enough(Path(env["CELLBURST_RUNTIME_DIR"]).absolute())
    key = f"v{STORE_SCHEMA}"
    session_dir = env.get("XDG_RUNTIME_DIR", "")
    if session_dir and Path(session_dir).is_dir() and os.access(session_dir, os.W_OK):
        return _short_enough(Path(session_dir) / _APP / key)
    uid = os.getuid() if hasattr(os, "getuid") else "user"
    # One level: whoever makes it makes it private, while a parent would get the modes of the day.
    folder = Path(env.get("TMPDIR") or tempfile.gettempdir()) / f"{_APP}-{uid}-{key}"
    _check_private(folder)
    return _short_enough(folder)


def _short_enough(path: Path) -> Path:
    if len(os.fsencode(path / "runtime.sock")) > _SOCKET_PATH_LIMIT:
        raise BadOption(f"{path} is too long for a socket's path: set CELLBURST_RUNTIME_DIR to a shorter one.")
    return path


def _check_private(path: Path) -> None:
    """Refuse a directory in a shared place that somebody else made: they could answer in the runtime's name."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if hasattr(os, "getuid") and (
        found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077
    ):
        raise RuntimeUnreachable(f"{path} is not a folder of yours alone: set CELLBURST_RUNTIME_DIR to one that is.")


def _read_connection(path: Path) -> dict[str, Any]:
    try:
        return _read_json(path)
    except (OSError, ValueError) as error:
        raise BadOption(
            f"{path} cannot be read ({error}): remove it and connect again with `%gpu_connect URL`."
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return saved if isinstance(saved, dict) else {}
