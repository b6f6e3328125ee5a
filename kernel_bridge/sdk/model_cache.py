"""Fill a model cache once, however many containers start with it: the others wait for the one that fetches."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadOption, CellburstError, NotFound

try:
    import fcntl
except ImportError:  # Windows runs no containers
    fcntl = None  # type: ignore[assignment]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_LOOK_AGAIN_S: Final = 0.2


def fill_once(name: str, fetch: Callable[[], object], *, folder: str | Path = "") -> bool:
    """Call `fetch` unless it has succeeded under this name before; tell whether it was called.

    For use in a cell with `--model-cache NAME`: `fill_once("llama", lambda: snapshot_download(...))`. One container
    fetches, those that come meanwhile say so and wait. When it fails or its container dies, the next one fetches.
    `folder` is the cache's, else the one that HF_HOME lies in; it is made, with those that HF_HOME and TORCH_HOME name.
    Raises NotFound without a model cache, BadOption for what is no name, and whatever `fetch` raises.
    """
    if not _NAME.match(name):
        raise BadOption(f"`{name}` cannot name what fills a cache: letters, digits, `_`, `.` and `-`, 128 at most.")
    locks = _prepared(folder) / ".cellburst"
    locks.mkdir(exist_ok=True)
    done = locks / f"{name}.done"
    if done.exists():
        return False
    with _held(locks / f"{name}.lock", name):
        if done.exists():
            return False
        fetch()
        done.write_text(json.dumps({"filled_at_s": time.time(), "by": socket.gethostname()}))
    return True


def _prepared(folder: str | Path) -> Path:
    homes = [Path(path) for key in ("HF_HOME", "TORCH_HOME") if (path := os.environ.get(key))]
    if not folder and not homes:
        raise NotFound("This cell has no model cache: write `%%gpu --model-cache NAME`.")
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    chosen = Path(folder) if folder else homes[0].parent
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@contextlib.contextmanager
def _held(path: Path, name: str) -> Iterator[None]:
    """Hold the lock. The kernel lets go of it when its holder dies, in whichever container that is."""
    if fcntl is None:
        raise CellburstError("A model cache is filled where containers run, and this system runs none.")
    with path.open("a+") as lock:
        said = False
        while not _taken(lock.fileno()):
            if not said:
                said = True
                sys.stderr.write(f"{name} is being fetched{_by_whom(path)}: waiting for it\n")
            time.sleep(_LOOK_AGAIN_S)
        lock.truncate(0)
        lock.write(json.dumps({"host": socket.gethostname(), "since_s": time.time()}))
        lock.flush()
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _by_whom(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        holder = json.loads(path.read_text())
        return f" by {holder['host']} since {time.strftime('%H:%M:%S', time.localtime(float(holder['since_s'])))}"
    return ""
