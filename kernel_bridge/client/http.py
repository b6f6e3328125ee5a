"""The control plane's routes as methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from urllib.parse import quote

from kernel_bridge.client.images import ImageRoutes
from kernel_bridge.client.replies import (
    CellInfo,
    FileEntry,
    LayerInfo,
    Pruned,
    RuntimeInfo,
    SecretInfo,
    TokenInfo,
    Usage,
    VolumeInfo,
)
from kernel_bridge.client.transport import Transport
from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.config import Address
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.logs import LogLine
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec
from kernel_bridge.protocol.wire import from_wire, to_wire

T = TypeVar("T")

_PRUNED_WITHIN_S = 600.0  # it may remove hundreds of thousands of files


class ControlPlane:
    """A runtime's control plane. Every method raises a CellburstError; RuntimeUnreachable when nothing answers."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = Transport(address)
        self.volume_routes = VolumeRoutes(self._http)
        self.image_routes = ImageRoutes(self._http)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The runtime

    def runtime(self) -> RuntimeInfo:
        """Return what the runtime says of itself."""
        return from_wire(RuntimeInfo, self._http.json("GET", "/v1/runtime"))

    def stop_runtime(self) -> None:
        """Stop the runtime; sessions with a container are hibernated first."""
        self._http.json("POST", "/v1/runtime/stop", timeout_s=DEFAULTS.runtime_lost_after_s)

    def prune(self, *, dry_run: bool = False) -> Pruned:
        """Have the runtime let go of what nobody needs; a dry run only tells."""
        reply = self._http.json("POST", "/v1/runtime/prune", json={"dry_run": dry_run}, timeout_s=_PRUNED_WITHIN_S)
        return from_wire(Pruned, reply)

    def simulate(self, cards: str) -> None:
        """Add simulated cards, `A100:2`, to a runtime on this machine."""
        self._http.json("POST", "/v1/runtime/simulate", json={"cards": cards})

    def usage(self, *, session: str = "", since_s: float | None = None) -> Usage:
        """Return the ledger's lines of a session, or of all, since a moment (epoch seconds)."""
        asked = {"session": session, "since": since_s}
        params = {key: value for key, value in asked.items() if value not in ("", None)}
        return from_wire(Usage, self._http.json("GET", "/v1/usage", params=params))

    # Sessions

    def open_session(self, spec: SessionSpec) -> SessionInfo:
        """Find the session of this spec's key or open one; raises NoCapacity, NotFound (a volume, a secret), ..."""
        return from_wire(SessionInfo, self._http.json("POST", "/v1/sessions", json=to_wire(spec)))

    def sessions(self) -> tuple[SessionInfo, ...]:
        """Return the sessions that are not closed."""
        return _many(SessionInfo, self._http.json("GET", "/v1/sessions"))

    def session(self, session_id: str) -> SessionInfo:
        """Return one session; raises NotFound."""
        return from_wire(SessionInfo, self._http.json("GET", f"/v1/sessions/{session_id}"))

    def stop_session(self, session_id: str) -> SessionInfo:
        """Save the session's state and let its container go; waits until that is done."""
        answer = self._http.json("POST", f"/v1/sessions/{session_id}/stop", timeout_s=DEFAULTS.queue_timeout_s)
        return from_wire(SessionInfo, answer)

    def reset_session(self, session_id: str) -> None:
        """End the session and discard its state."""
        self._http.json("DELETE", f"/v1/sessions/{session_id}")

    def pin_session(self, session_id: str, until_s: float | None) -> SessionInfo:
        """Keep the session's container until a moment (epoch seconds), however idle; None lets it idle again."""
        answer = self._http.json("POST", f"/v1/sessions/{session_id}/pin", json={"until_s": until_s})
        return from_wire(SessionInfo, answer)

    def add_layer(self, session_id: str, requirements: Sequence[str], *, resolve: bool = False) -> LayerInfo:
        """Build (or find) the package layer of these requirements; raises BuildFailed.

        They are exact and complete, unless `resolve` says that uv is to choose versions and dependencies.
        """
        asked = {"requirements": list(requirements), "resolve": resolve}
        path = f"/v1/sessions/{session_id}/layers"
        return from_wire(LayerInfo, self._http.json("POST", path, json=asked, timeout_s=DEFAULTS.build_timeout_s))

    def cells(self, session_id: str) -> tuple[CellInfo, ...]:
        """Return the session's executions."""
        return _many(CellInfo, self._http.json("GET", f"/v1/sessions/{session_id}/cells"))

    def logs(
        self, session_id: str, *, cell_id: str = "", level: str = "debug", lines: int = 200
    ) -> tuple[LogLine, ...]:
        """Return the newest lines the runtime's side wrote of a session, or of one cell of it, by their time."""
        params = {"cell": cell_id, "level": level, "lines": str(lines)}
        return _many(LogLine, self._http.json("GET", f"/v1/sessions/{session_id}/logs", params=params))

    # Images

    def build_image(self, recipe: ImageRecipe) -> dict[str, Any]:
        """Have an image built; returns its digest and state."""
        answer: dict[str, Any] = self._http.json(
            "POST", "/v1/images", json=to_wire(recipe), timeout_s=DEFAULTS.build_timeout_s
        )
        return answer

    # Volumes

    def volumes(self) -> tuple[VolumeInfo, ...]:
        """Return the volumes."""
        return _many(VolumeInfo, self._http.json("GET", "/v1/volumes"))

    def volume(self, name: str) -> VolumeInfo:
        """Return one volume with its size now; raises NotFound."""
        return from_wire(VolumeInfo, self._http.json("GET", f"/v1/volumes/{_segment(name)}"))

    def create_volume(self, name: str) -> VolumeInfo:
        """Create a volume unless it is there."""
        return from_wire(VolumeInfo, self._http.json("PUT", f"/v1/volumes/{_segment(name)}"))

    def delete_volume(self, name: str) -> None:
        """Delete a volume and what is in it; raises NotFound, or Conflict while a container has it."""
        self._http.json("DELETE", f"/v1/volumes/{_segment(name)}")

    def volume_files(self, name: str, path: str = "", *, recursive: bool = False) -> tuple[FileEntry, ...]:
        """Return what is in a directory of a volume, or everything below it; raises NotFound."""
        params = {"path": path, "recursive": str(recursive).lower()}
        return _many(FileEntry, self._http.json("GET", f"/v1/volumes/{_segment(name)}/files", params=params)["entries"])

    def put_file(self, name: str, path: str, chunks: Iterable[bytes], size_bytes: int) -> None:
        """Write a file of a volume, replacing one that is there."""
        self._http.upload(_file_path(name, path), chunks, size_bytes)

    def get_file(self, name: str, path: str) -> AbstractContextManager[tuple[int | None, Iterator[bytes]]]:
        """Read a file of a volume: a context of its size, where that is told, and its pieces."""
        return self._http.download(_file_path(name, path))

    def delete_file(self, name: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file of a volume, or a directory with `recursive`."""
        self._http.json("DELETE", _file_path(name, path), params={"recursive": "true"} if recursive else {})

    # Secrets and tokens

    def secrets(self) -> tuple[SecretInfo, ...]:
        """Return the secrets' names and the names of their variables."""
        return _many(SecretInfo, self._http.json("GET", "/v1/secrets"))

    def put_secret(self, name: str, values: dict[str, str]) -> None:
        """Create a secret or replace its values."""
        self._http.json("PUT", f"/v1/secrets/{_segment(name)}", json={"values": values})

    def delete_secret(self, name: str) -> None:
        """Delete a secret; raises NotFound."""
        self._http.json("DELETE", f"/v1/secrets/{_segment(name)}")

    def rekey_secrets(self) -> int:
        """Have every secret sealed with a new master key; returns how many there are. Raises BadRequest."""
        return int(self._http.json("POST", "/v1/secrets/rekey")["secrets"])

    def tokens(self, *, owner: str = "") -> tuple[TokenInfo, ...]:
        """Return one's own tokens, or an owner's, or with `*` everyone's, without what they are."""
        return _many(TokenInfo, self._http.json("GET", "/v1/tokens", params={"owner": owner} if owner else {}))

    def create_token(
        self, name: str, *, expires_in_s: float | None = None, scope: str = "owner", owner: str = ""
    ) -> tuple[TokenInfo, str]:
        """Create a token for oneself or another owner; the text is shown this once. Raises Forbidden or Conflict."""
        asked = {"name": name, "expires_in_s": expires_in_s, "scope": scope}
        answer = self._http.json("POST", "/v1/tokens", params={"owner": owner} if owner else {}, json=asked)
        return from_wire(TokenInfo, answer), str(answer["token"])

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token; raises NotFound."""
        self._http.json("DELETE", f"/v1/tokens/{_segment(token_id)}")


def _many(kind: type[T], answer: Any) -> tuple[T, ...]:
    return tuple(from_wire(kind, item) for item in answer)


def _segment(name: str) -> str:
    return quote(name, safe="")


def _file_path(name: str, path: str) -> str:
    return f"/v1/volumes/{_segment(name)}/files/{quote(path.strip('/'))}"
