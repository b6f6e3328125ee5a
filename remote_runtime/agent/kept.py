"""The values a container keeps behind handles: those in memory, and those that were saved when it slept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import PackedUnit
from kernel_bridge.errors import NotFound
from remote_runtime.agent.saved import SavedState
from remote_runtime.agent.secrets import KIND as SECRET
from remote_runtime.agent.secrets import SecretTexts


class KeptTable(ReferenceTable):
    """The values this container keeps; one that was saved comes back when its handle is used."""

    saved: SavedState | None = None
    texts = SecretTexts({})

    def __init__(self, *, session: str, place: str) -> None:
        super().__init__(session=session, place=place)
        self._older: dict[str, str] = {}  # key of a lost value -> of the saved one in its place

    @property
    def why_not_home(self) -> Callable[[PackedUnit], str] | None:
        """Return what says why a unit must not go to the notebook; None where there are no secrets."""
        return self.texts.why_not_home if self.texts else None

    def find(self, kind: str, details: dict[str, Any]) -> object:
        """Return this side's object for a name, or a saved text with the secrets of now; raises NotFound."""
        if kind == SECRET:
            return self.texts.find(details)
        if details.get("session") == self._session:
            self.replace_lost(str(details.get("key")), str(details.get("name")), str(details.get("type")))
        return super().find(kind, details)

    def replace_lost(self, key: str, name: str, kind: str) -> None:
        """Let a saved value of the same name and type stand for one that was lost with a container since."""
        if key in self.kept() or key in self._older or self.saved is None or self.saved.holds(key):
            return
        if older := self.saved.stand_in(name, kind):
            self._older[key] = older

    def resolve(self, key: str, name: str = "") -> object:
        """Return the value of a handle; raises NotFound when it is lost."""
        key = self._older.get(key, key)
        if key not in self.kept() and self.saved is not None:
            found = self.saved.restore_handle(key)
            if not found and (why := self.saved.why_lost(key)):
                raise NotFound(f"{why}; run the cell that made it again, or have an `on_wake` function do it")
        return super().resolve(key, name)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of kept values, and of saved ones."""
        released = list(keys)
        super().release(released)
        if self.saved is not None:
            self.saved.release(released)
