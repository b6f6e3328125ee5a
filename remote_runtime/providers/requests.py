"""What a zygote's fork is told and handed, as bytes and descriptors of this process; `agent/handing.py` reads it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from kernel_bridge.protocol.cgroup_files import FILES
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import to_wire

Tree = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Request:
    """One container to fork."""

    text: bytes  # one line
    descriptors: tuple[int, ...]


@contextlib.contextmanager
def request(config: ContainerConfig, trees: Sequence[Tree]) -> Iterator[Request]:
    """Yield the request; its descriptors, the trees' included, are closed when the block ends. Raises OSError."""
    with ExitStack() as opened:
        for _, tree in trees:
            opened.callback(os.close, tree)
        files = dict(_cgroup_files(config.cgroups, opened))
        token = piped(config.token, opened)
        said = {
            "config": to_wire(replace(config, token="")),
            "trees": [path for path, _ in trees],
            "cgroup_files": list(files),
            "token": True,
        }
        descriptors = (*(tree for _, tree in trees), *files.values(), token)
        yield Request(json.dumps(said).encode() + b"\n", descriptors)


def given_paths(config: ContainerConfig) -> list[str]:
    """Return every directory and file of the host that a container is given."""
    socket = config.control_url.removeprefix("unix:") if config.control_url.startswith("unix:") else ""
    own = [
        str(Path(config.work_dir).parent),
        config.state_dir,
        config.arena_dir,
        str(Path(socket).parent) if socket else "",
    ]
    return [path for path in (*own, *(mount.source for mount in config.mounts), *config.layers) if path]


def _cgroup_files(groups: Sequence[str], opened: ExitStack) -> Iterator[tuple[str, int]]:
    for number, group in enumerate(groups):
        for name, flags in FILES.items():
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(Path(group, name), flags | os.O_CLOEXEC)
                opened.callback(os.close, descriptor)
                yield f"{number}:{name}", descriptor


def piped(text: str, opened: ExitStack) -> int:
    """Return a pipe that holds a text: it is on no disk, in no list of arguments, and read once. Raises OSError."""
    read, write = os.pipe()
    opened.callback(os.close, read)
    with os.fdopen(write, "w") as pipe:
        pipe.write(text)
    return read
