"""What builds ask of a container engine, through the Docker Engine API. It blocks: builds run in threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from threading import Event
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kernel_bridge.errors import BuildFailed

if TYPE_CHECKING:
    from docker import APIClient

EXTRA: Final = "Building images needs the package `docker`: pip install 'cellburst[docker]'."
CONTAINERS: Final = "cellburst-build-"  # what their names begin with
_ANSWER_S: Final = 600.0  # a commit of many gigabytes is one answer
_TAGGED: Final = re.compile(r"(.+):([\w][\w.-]{0,127})\Z")

Line = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command in a container that is made for it."""

    image: str
    entrypoint: list[str]
    binds: list[str] = field(default_factory=list)
    network: str = ""


class EngineApi:
    """One connection. Every method raises BuildFailed where the engine is away, refuses, or `stop` was called."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = Event()
        self._running = ""
        with _told():
            self._client = _connect(url)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def stop(self) -> None:
        """Have what runs end; from any thread."""
        self._stopped.set()
        if running := self._running:
            with suppress(Exception):  # it ended by itself
                other = _connect(self._url)
                other.kill(running)
                other.close()

    def id_of(self, name: str) -> str:
        """Return the id of an image that is here; empty for none."""
        found = self._inspect(name)
        return str(found["Id"]) if found else ""

    def config_of(self, image: str) -> dict[str, Any]:
        """Return what an image says about its containers."""
        found = self._inspect(image)
        return dict((found or {}).get("Config") or {})

    def size_of(self, image: str) -> int:
        """Return what an image has in bytes, what it shares with others included; 0 for none."""
        return int((self._inspect(image) or {}).get("Size") or 0)

    def pull(self, name: str) -> None:
        """Fetch an image from its registry."""
        tagged = None if "@" in name else _TAGGED.match(name)
        where, tag = (tagged[1], tagged[2]) if tagged else (name, None if "@" in name else "latest")
        with self._asking():
            for _ in self._to_end(self._client.pull(where, tag=tag, stream=True, decode=True)):
                pass

    def build(
        self, context: bytes, dockerfile: str, tag: str, arguments: Mapping[str, str], network: str
    ) -> Iterator[str]:
        """Have the engine's own builder make an image; yields its lines. What it refuses is its last line, raised."""
        with self._asking():
            lines = self._client.build(
                fileobj=BytesIO(context),
                custom_context=True,
                dockerfile=dockerfile,
                tag=tag,
                buildargs=dict(arguments),
                network_mode=network or None,
                rm=True,
                forcerm=True,
                decode=True,
            )
            yield from self._to_end(lines)

    @contextmanager
    def ran(self, job: Job, line: Line) -> Iterator[tuple[str, int]]:
        """Run a command to its end; yields the container, which is gone afterwards, and how the command exited."""
        host: dict[str, Any] = {"Binds": job.binds, **({"NetworkMode": job.network} if job.network else {})}
        body = {"Image": job.image, "Entrypoint": job.entrypoint, "HostConfig": host}
        with self._asking():
            container = self._client.create_container_from_config(body, f"{CONTAINERS}{uuid4().hex[:12]}")["Id"]
            self._running = container
        try:
            with self._asking():
                code = self._follow(container, line)
            yield container, code
        finally:
            self._running = ""
            with suppress(Exception):  # the engine went away: its name says what it was
                self._client.remove_container(container, v=True, force=True)

    def commit(self, container: str, repository: str, tag: str, message: str, config: Mapping[str, Any]) -> str:
        """Keep what a container wrote as an image with that configuration; returns its id."""
        with self._asking():
            made = self._client.commit(container, repository=repository, tag=tag, message=message, conf=dict(config))
            return str(made["Id"])

    def names(self, repository: str) -> list[str]:
        """Return the names of a repository's images."""
        with self._asking():
            found = [name for image in self._client.images(repository) for name in image.get("RepoTags") or ()]
        return [name for name in found if name.removeprefix("localhost/").startswith(f"{repository}:")]

    def untag(self, name: str) -> bool:
        """Take a name away, and the image once it has none; False where a container still needs it."""
        try:
            with self._asking():
                self._client.remove_image(name)
        except BuildFailed:
            return False
        return True

    def _follow(self, container: str, line: Line) -> int:
        self._client.start(container)
        stream = self._client.logs(container, stream=True, follow=True)
        rest = b""
        try:
            for piece in stream:
                *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
                for found in lines:
                    line(found.decode(errors="replace"))
        finally:
            stream.close()
        if rest:
            line(rest.decode(errors="replace"))
        code = int(self._client.wait(container)["StatusCode"])
        self._check()
        return code

    def _to_end(self, answers: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Pass lines on until there are no more, also after an error: who hangs up early leaves a connection open."""
        error = ""
        for answer in answers:
            self._check()
            error = str(answer.get("error", "")).strip() or error
            yield from str(answer.get("stream", "")).splitlines()
        if error:
            raise BuildFailed(error)

    def _inspect(self, name: str) -> dict[str, Any] | None:
        import docker.errors

        with self._asking():
            try:
                return dict(self._client.inspect_image(name))
            except docker.errors.ImageNotFound:
                return None

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._check()
        with _told():
            yield

    def _check(self) -> None:
        if self._stopped.is_set():
            raise BuildFailed("The build was ended.")


@contextmanager
def _told() -> Iterator[None]:
    try:
        import docker.errors
        import requests  # noqa: PLC0415 - the same
    except ImportError:
        raise BuildFailed(EXTRA) from None
    try:
        yield
    except docker.errors.APIError as error:
        raise BuildFailed(f"The container engine refused: {str(error.explanation or error).strip()}.") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise BuildFailed(f"The container engine does not answer: {str(error)[:200]}") from error


def _connect(url: str) -> APIClient:
    import docker

    return docker.APIClient(base_url=url, version="auto", timeout=int(_ANSWER_S))
