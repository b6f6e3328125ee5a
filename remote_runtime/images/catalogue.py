"""What this host knows of the recipes it was asked for: how they stand, their logs, what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BuildFailed, NotFound
from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.images.engine_builder import EngineBuilder
from remote_runtime.images.kernel_packages import installed_pins
from remote_runtime.images.records import ImageStatus, Records
from remote_runtime.images.shelf import ENV, Shelf, Stored

_DIGEST_LENGTH: Final = 64


class Catalogue:
    """Reads what the builder wrote."""

    def __init__(
        self,
        root: Path,
        records: Records,
        shelf: Shelf,
        engine: EngineBuilder | None,
        under_way: Callable[[], frozenset[str]],
    ) -> None:
        self._root = root
        self._records = records
        self._shelf = shelf
        self._engine = engine
        self._under_way = under_way

    def images(self) -> list[ImageStatus]:
        """Return the recipes, the latest first."""
        engine = self._engine.under_way() if self._engine is not None else frozenset()
        return [self._dated(status) for status in self._records.images(self._under_way() | engine)]

    def with_sizes(self, images: list[ImageStatus]) -> list[ImageStatus]:
        """Return them with their sizes and when they were last used. It may walk folders: call it on a thread."""
        sizes = {stored.name: stored for stored in self._shelf.stock()}
        return [_sized(status, sizes) for status in images]

    def log_file(self, digest: str) -> Path:
        """Return where the log of a build is, or will be."""
        return self._root / "logs" / f"{digest}.log"

    def log(self, digest: str) -> str:
        """Return the build log of a recipe, an environment or a layer; raises NotFound."""
        known = digest.isalnum() and len(digest) == _DIGEST_LENGTH
        status = self._records.find(digest) if known else None
        file = self.log_file((status.log or status.environment) if status else digest)
        if not known or not file.is_file():
            raise NotFound(f"No image {digest[:12]} was built here.")
        return file.read_text(encoding="utf-8", errors="replace")

    def recipe(self, digest: str) -> ImageRecipe:
        """Return a recipe; raises NotFound."""
        found = self._records.recipe(digest)
        if found is None:
            raise NotFound(f"No image {digest[:12]} was built here.")
        return found

    async def lock(self, digest: str) -> str:
        """Return what is installed in an image as exact requirements; raises NotFound, BuildFailed."""
        status = self._records.find(digest)
        if status is None or status.state != "ready":
            raise NotFound(f"No image {digest[:12]} was built here.")
        if status.image and self._engine is not None:
            pins = await self._engine.installed(status.image)
        else:
            site = self._root / "env" / status.environment / "lib" / f"python{status.python}" / "site-packages"
            pins = await asyncio.to_thread(installed_pins, site)
        return "".join(f"{pin}\n" for pin in pins)

    def forget(self, digest: str) -> None:
        """Let go of a recipe that nobody holds; what it was made of goes with the next tidying up."""
        self._records.forget(digest)

    async def drop(self, digest: str) -> bool:
        """Let go of an engine's image and of what only it is made of; False where the engine does not answer."""
        self.forget(digest)
        try:
            await self.prune()
        except BuildFailed:
            return False
        return True

    async def prune(self) -> int:
        """Let go of the engine's images that no recipe is made of; returns how many went. Raises BuildFailed."""
        if self._engine is None:
            return 0
        known = await asyncio.to_thread(self._records.images, ())
        return await self._engine.prune({name for status in known for name in status.layers})

    def _dated(self, status: ImageStatus) -> ImageStatus:
        return replace(status, used_at_s=self._records.used_at_s(status.digest))


def _sized(status: ImageStatus, sizes: Mapping[str, Stored]) -> ImageStatus:
    stored = None if status.image else sizes.get(f"{ENV}/{status.environment}")
    if stored is None:
        return status
    return replace(status, size_bytes=stored.size_bytes, used_at_s=max(status.used_at_s, stored.used_at_s))
