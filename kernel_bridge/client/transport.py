"""HTTP to a runtime: JSON in, JSON out, and every failure as an error that says what to do next."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from kernel_bridge.config import Address
from kernel_bridge.errors import CellburstError, RuntimeUnreachable, error_from
from kernel_bridge.logs import bound_id

log = logging.getLogger(__name__)

CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0

_CODE_OF_STATUS: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
}


class Transport:
    """A connection pool to one runtime. Safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = httpx2.Client(
            base_url=address.url or "http://localhost",
            headers={"Authorization": f"Bearer {address.token}"},
            timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
            # A socket speaks no TLS: without the certificates this takes 1 ms.
            transport=httpx2.HTTPTransport(uds=address.socket, verify=False) if address.socket else None,
            verify=not address.socket,
            trust_env=not address.socket,
            event_hooks={"request": [_name], "response": [_log]},
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def json(self, method: str, path: str, *, timeout_s: float = ANSWER_S, **request: Any) -> Any:
        """Send a request and return the answer's JSON, None for an empty one; raises a CellburstError."""
        with self._unreachable():
            timeout = httpx2.Timeout(timeout_s, connect=CONNECT_S)
            response = self._client.request(method, path, timeout=timeout, **request)
        _check(response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise RuntimeUnreachable(f"{self.address} answers, but is no Cellburst runtime.") from None

    def events(self, path: str, headers: dict[str, str], *, silent_s: float) -> Iterator[httpx2.ServerSentEvent]:
        """GET server-sent events until they end; raises RuntimeUnreachable after `silent_s` without a word."""
        timeout = httpx2.Timeout(ANSWER_S, connect=CONNECT_S, read=silent_s)
        with self._unreachable(), self._client.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                _check(response)
            yield from httpx2.EventSource(response)

    def upload(self, path: str, chunks: Iterable[bytes], size_bytes: int) -> Any:
        """PUT a body piece by piece; raises a CellburstError."""
        return self.json("PUT", path, content=chunks, headers={"Content-Length": str(size_bytes)}, timeout_s=600)

    @contextmanager
    def download(self, path: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """GET a body piece by piece: yields its size, where it is told, and the pieces; raises a CellburstError."""
        with self._unreachable(), self._client.stream("GET", path) as response:
            if response.is_error:
                response.read()
                _check(response)
            length = response.headers.get("content-length")
            yield int(length) if length else None, response.iter_raw(1 << 20)

    @contextmanager
    def opened(
        self, path: str, *, params: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Iterator[httpx2.Response]:
        """GET something whose body is read by the caller; raises a CellburstError."""
        with self._unreachable(), self._client.stream("GET", path, params=params, headers=headers) as response:
            if response.is_error:
                response.read()
                _check(response)
            yield response

    @contextmanager
    def _unreachable(self) -> Iterator[None]:
        try:
            if self.address.socket:
                check_socket(self.address.socket)
            yield
        except (OSError, httpx2.TransportError, httpx2.InvalidURL) as error:
            hint = (
                "Start one with `cellburst runtime serve`."
                if self.address.socket
                else "Is it running there, and is the address right (`%gpu_connect URL`)?"
            )
            raise RuntimeUnreachable(
                f"No runtime answers at {self.address} ({error or type(error).__name__}). {hint}"
            ) from None


def _name(request: httpx2.Request) -> None:
    """Say which request this is, and of which cell: the runtime's log says it, too."""
    request.headers["X-Request-ID"] = secrets.token_hex(8)
    if cell_id := bound_id("cell_id"):
        request.headers["X-Cellburst-Cell"] = cell_id


def _log(response: httpx2.Response) -> None:
    if log.isEnabledFor(logging.DEBUG):
        request = response.request
        fields = {"status": response.status_code}
        extra = {"request_id": request.headers["X-Request-ID"], "fields": fields}
        log.debug("%s %s", request.method, request.url.path, extra=extra)


def check_socket(path: str) -> None:
    """Raise OSError when nobody listens on a unix socket. The HTTP library would leave its own socket open then."""
    with socket.socket(unix_family(), socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_S)
        probe.connect(path)


def unix_family() -> int:
    """Return the address family of unix sockets; raises RuntimeUnreachable where there is none."""
    family: int | None = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise RuntimeUnreachable("This system has no unix sockets: connect to a runtime with `%gpu_connect URL`.")
    return family


def _check(response: httpx2.Response) -> None:
    if not response.is_error:
        return
    try:
        fields = response.json()
    except ValueError:
        fields = None
    if isinstance(fields, dict) and "code" in fields:
        raise error_from(str(fields["code"]), str(fields.get("detail", "")))
    detail = (
        str(fields["detail"])[:500] if isinstance(fields, dict) and fields.get("detail") else response.reason_phrase
    )
    code = _CODE_OF_STATUS.get(response.status_code)
    if code:
        raise error_from(code, detail)
    raise CellburstError(f"The runtime answered {response.status_code} {detail} to {response.request.url.path}.")
