"""One container engine on this host: its API in threads, and its errors as ours."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel_bridge.errors import BadOption, StartFailed

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")

EXTRA: Final = "The Docker provider needs the package `docker`: pip install 'cellburst[docker]'."
SOCKETS: Final = ("/var/run/docker.sock", "/run/podman/podman.sock")
_ANSWER_S: Final = 60.0  # for one answer: an engine on a slow disk takes its time to make a container
_NO_SUCH: Final = 404
_PEER: Final = struct.Struct("3i")


class EngineGone(Exception):
    """The engine does not answer. It is no error of what was asked for."""


class NoSuch(Exception):
    """What was asked for is not there."""


class Refused(Exception):
    """The engine says no; the text is its own."""


class Engine:
    """Connects when first asked; an engine that went away may come back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: APIClient | None = None
        self._lock = Lock()

    async def reachable(self) -> bool:
        """Tell whether it answers."""
        try:
            await self._ask(lambda client: client.ping())
        except (EngineGone, Refused, NoSuch, StartFailed):
            return False
        return True

    async def info(self) -> Mapping[str, Any]:
        """Return what it says of itself; raises EngineGone."""
        answer: Mapping[str, Any] = await self._ask(lambda client: client.info())
        return answer

    async def image(self, name: str) -> Mapping[str, Any]:
        """Return an image's configuration; raises NoSuch."""
        answer: Mapping[str, Any] = await self._ask(lambda client: client.inspect_image(name))
        return answer

    async def pull(self, name: str) -> None:
        """Have an image fetched from its registry; raises Refused with what the registry said."""
        await self._ask(lambda client: _pull(client, name))

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Make a container and return its id; raises Refused, NoSuch for its image."""
        answer = await self._ask(lambda client: client.create_container_from_config(dict(body), name))
        return str(answer["Id"])

    async def start(self, container: str) -> None:
        """Start it; raises Refused with the reason."""
        await self._ask(lambda client: client.start(container))

    async def inspect(self, container: str) -> Mapping[str, Any]:
        """Return all there is to know; raises NoSuch."""
        answer: Mapping[str, Any] = await self._ask(lambda client: client.inspect_container(container))
        return answer

    async def wait(self, container: str, within_s: float) -> int:
        """Return how it exited; raises EngineGone when that takes longer."""
        answer = await self._ask(lambda client: client.wait(container, timeout=within_s))
        return int(answer["StatusCode"])

    async def output(self, container: str) -> str:
        """Return what it wrote, at most its last lines."""
        said: bytes = await self._ask(lambda client: client.logs(container, tail=20))
        return said.decode(errors="replace")

    async def stop(self, container: str, within_s: float) -> None:
        """Ask it to end, then make it; raises NoSuch."""
        await self._ask(lambda client: client.stop(container, timeout=int(within_s)))

    async def remove(self, container: str) -> None:
        """Make away with it and what it wrote; one that is gone is gone."""
        try:
            await self._ask(lambda client: client.remove_container(container, v=True, force=True))
        except NoSuch:
            return

    async def labelled(self, label: str, states: Iterable[str]) -> list[Mapping[str, Any]]:
        """Return the containers in these states that carry a label."""
        filters = {"label": [label], "status": list(states)}
        found: list[Mapping[str, Any]] = await self._ask(lambda client: client.containers(all=True, filters=filters))
        return found

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    async def _ask(self, question: Callable[[APIClient], T]) -> T:
        return await asyncio.to_thread(self._asked, question)

    def _asked(self, question: Callable[[APIClient], T]) -> T:
        try:
            import docker.errors  # an extra, and slow: only who asks an engine has it
            import requests  # noqa: PLC0415 - the same
        except ImportError:
            raise StartFailed(EXTRA) from None
        try:
            return question(self._connected())
        except docker.errors.APIError as error:
            said = str(error.explanation or error).strip()
            raise (NoSuch if error.status_code == _NO_SUCH else Refused)(said) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            self.close()
            raise EngineGone(f"the container engine at {self.url} does not answer: {_reason(error)}") from error

    def _connected(self) -> APIClient:
        import docker  # an extra, and slow: only who asks an engine has it

        with self._lock:
            if self._client is None:
                with socket.socket(socket.AF_UNIX) as trial:  # the library leaves its own open when nobody listens
                    trial.connect(self.url.removeprefix("unix://"))
                self._client = docker.APIClient(base_url=self.url, version="auto", timeout=int(_ANSWER_S))
            return self._client


def find_url(chosen: str, runtime_dir: str = "") -> str:
    """Return the address of this host's engine: the one chosen, else the first whose socket is there.

    Raises BadOption for an engine elsewhere: what containers are given lies on this host.
    """
    if chosen:
        if not chosen.startswith("unix://"):
            raise BadOption(
                f"DOCKER_HOST is {chosen}: containers are given folders of this host, so it has to be an engine here, "
                "as unix:///PATH. On the other host, start a runtime of its own and use `%gpu_connect URL`."
            )
        return chosen
    places = [*SOCKETS, *([f"{runtime_dir}/docker.sock", f"{runtime_dir}/podman/podman.sock"] if runtime_dir else [])]
    there = [path for path in places if Path(path).exists()]
    return f"unix://{there[0] if there else places[0]}"


def shares_mounts(url: str) -> bool:
    """Tell whether the engine sees what is mounted here, as far as can be known: True where it cannot."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(url.removeprefix("unix://"))
            pid, _, _ = _PEER.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return Path(f"/proc/{pid}/ns/mnt").samefile("/proc/self/ns/mnt")
    except OSError:
        return True


def _pull(client: APIClient, name: str) -> None:
    """Follow it to its end: errors come in the stream, after a status that promised success."""
    repository, tag = _split(name)
    for line in client.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise Refused(str(line["error"]))


def _split(name: str) -> tuple[str, str | None]:
    """Tell a repository from its tag; a digest is one, too."""
    if "@" in name:
        return name, None
    found = re.match(r"(.+):([\w][\w.-]{0,127})\Z", name)
    return (found[1], found[2]) if found else (name, "latest")


def _reason(error: BaseException) -> str:
    """Return the innermost reason: what wraps it says less with more words."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return json.dumps(str(error)[:200])
