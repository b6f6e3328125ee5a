"""Rows of images: one a recipe's digest."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select, update

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import ImageRow, ImageState
from remote_runtime.store.schema import IMAGES


class Images:
    """The table `images`. Methods that change a row raise NotFound when there is none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def declare(self, recipe: ImageRecipe) -> ImageRow:
        """Make a recipe known; an image that is there already stays as it is."""
        now_s = self._clock.now()
        values: dict[str, Any] = {
            "digest": recipe.digest,
            "recipe": recipe,
            "state": ImageState.DECLARED,
            "path": "",
            "log_path": "",
            "error": "",
            "build_s": 0.0,
            "created_at_s": now_s,
            "used_at_s": now_s,
        }
        with self._database.writing() as connection:
            self._database.insert_new(connection, IMAGES, values)
            return self._read(connection, recipe.digest)

    def get(self, digest: str) -> ImageRow:
        """Return one image; raises NotFound."""
        with self._database.reading() as connection:
            return self._read(connection, digest)

    def list(self) -> tuple[ImageRow, ...]:
        """Return the images, last used first."""
        with self._database.reading() as connection:
            found = connection.execute(select(IMAGES).order_by(IMAGES.c.used_at_s.desc(), IMAGES.c.digest)).mappings()
            return tuple(row(ImageRow, mapping) for mapping in found)

    def building(self, digest: str, log_path: str) -> ImageRow:
        """Record that a build began and where its log is."""
        return self._change(digest, state=ImageState.BUILDING, log_path=log_path, error="")

    def ready(self, digest: str, path: str, build_s: float) -> ImageRow:
        """Record where the image is and how long it took."""
        return self._change(digest, state=ImageState.READY, path=path, build_s=build_s, error="")

    def failed(self, digest: str, error: str) -> ImageRow:
        """Record the line that says why it did not build."""
        return self._change(digest, state=ImageState.FAILED, error=error)

    def used(self, digest: str) -> ImageRow:
        """Record that a container started from it now."""
        return self._change(digest, used_at_s=self._clock.now())

    def delete(self, digest: str) -> None:
        """Forget an image. One that nobody knows is success."""
        with self._database.writing() as connection:
            connection.execute(delete(IMAGES).where(IMAGES.c.digest == digest))

    def _change(self, digest: str, **values: Any) -> ImageRow:
        with self._database.writing() as connection:
            connection.execute(update(IMAGES).where(IMAGES.c.digest == digest).values(**values))
            return self._read(connection, digest)

    def _read(self, connection: Connection, digest: str) -> ImageRow:
        found = connection.execute(select(IMAGES).where(IMAGES.c.digest == digest)).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no image {digest[:80]!r}.")
        return row(ImageRow, found)
