"""What of this host every container may see: the system's programs, a few of its settings, one environment."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from remote_runtime.linux.roots import Bind

_SYSTEM: Final = (
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "opt",
    "nix/store",
    "gnu/store",
    "run/current-system",
)
# What programs look up to resolve names, trust certificates, find libraries and write dates. Nothing that names people.
_SETTINGS: Final = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gai.conf", "host.conf"),
    *("hostname", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime"),
    *("magic", "mime.types", "nsswitch.conf", "OpenCL", "os-release", "pki", "protocols", "resolv.conf", "rpc"),
    *("services", "ssl", "terminfo", "timezone", "vulkan"),
)
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_MACHINE: Final = ("/sys/devices/system", "/sys/kernel/mm")  # processors, memory nodes: numerical libraries ask
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_MOST_LINKS: Final = 8


@functools.cache
def system_binds() -> tuple[Bind, ...]:
    """Return what belongs to the system."""
    system = [Bind.same(f"/{name}") for name in _SYSTEM]
    settings = [Bind(source=os.path.realpath(f"/etc/{name}"), target=f"/etc/{name}") for name in _SETTINGS]
    devices = [Bind.same(f"/dev/{name}", read_only=False, devices=True) for name in _DEVICES]
    return (*system, *settings, *devices, *(Bind.same(path) for path in _MACHINE))


def card_binds() -> tuple[Bind, ...]:
    """Return the files of the NVIDIA driver: for who makes containers, each of which is shown its own cards alone."""
    found = sorted(Path("/dev").glob("nvidia*"))
    return tuple(Bind.same(str(path), read_only=False, devices=True) for path in found)


def environment_binds(python: Path, env: Mapping[str, str]) -> tuple[Bind, ...]:
    """Return an environment, what its interpreter is made of, and files its variables name. All of it is read only."""
    certificates = [path for name in _CERTIFICATES if (path := env.get(name, "")).startswith("/")]
    libraries = [path for path in env.get("LD_LIBRARY_PATH", "").split(":") if path.startswith("/")]
    prefixes = dict.fromkeys(str(prefix) for prefix in _prefixes(python))
    return tuple(
        Bind(source=os.path.realpath(path), target=path)
        for path in (*prefixes, *certificates, *libraries)
        if not _is_system(path)
    )


def _prefixes(python: Path) -> Iterator[Path]:
    """Return the directories of an interpreter and of every one it is a link to."""
    for _ in range(_MOST_LINKS):
        yield python.parent.parent
        if not python.is_symlink():
            yield python.resolve().parent.parent
            return
        python = Path(os.path.normpath(python.parent / python.readlink()))


def _is_system(path: str) -> bool:
    return path == "/" or any(Path(path).is_relative_to(f"/{name}") for name in _SYSTEM)
