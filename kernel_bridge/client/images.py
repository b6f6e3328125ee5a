"""The control plane's images, as a client sees them."""

from __future__ import annotations

from kernel_bridge.client.replies import ImageInfo
from kernel_bridge.client.transport import Transport
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.wire import from_wire

_LINES_S = 60.0  # to look into an image takes a container


class ImageRoutes:
    """Lists images, reads, exports and forgets them. Digests are whole."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def images(self) -> tuple[ImageInfo, ...]:
        """Return the images the caller asked for, the latest first."""
        return tuple(from_wire(ImageInfo, item) for item in self._http.json("GET", "/v1/images", timeout_s=_LINES_S))

    def recipe(self, digest: str) -> ImageRecipe:
        """Return what an image is made of; raises NotFound."""
        return from_wire(ImageRecipe, self._http.json("GET", f"/v1/images/{digest}"))

    def log(self, digest: str) -> str:
        """Return the log of an image's build; raises NotFound."""
        return self._bytes(f"/v1/images/{digest}/log").decode()

    def lock(self, digest: str) -> str:
        """Return what is installed in an image, as exact requirements; raises NotFound, BuildFailed."""
        return self._bytes(f"/v1/images/{digest}/lock").decode()

    def context(self, digest: str) -> bytes:
        """Return an image's Dockerfile and what it reads, as a tar archive; raises NotFound, BadImage."""
        return self._bytes(f"/v1/images/{digest}/context")

    def delete(self, digest: str) -> None:
        """Forget an image; raises NotFound, or Conflict while a session has it."""
        self._http.json("DELETE", f"/v1/images/{digest}")

    def prune(self) -> int:
        """Have the engine's images go that no recipe is made of; returns how many did."""
        return int(self._http.json("POST", "/v1/images/prune", json={}, timeout_s=_LINES_S)["removed"])

    def _bytes(self, path: str) -> bytes:
        with self._http.download(path) as (_, pieces):
            return b"".join(pieces)
