"""What a notebook that takes a session over must not make others lose: names it has too, and changes of others.

The notebook that comes has the last word on the names it has: their values here go, and its own are fetched when they
are touched. They are put aside until then, for the notebook that comes next, and for the saved state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kernel_bridge.capture.mirror import Mirror
from remote_runtime.agent.namespace import Namespace


class Aside:
    """Values of a namespace that are not in it just now."""

    def __init__(self, namespace: Namespace, mirror: Mirror) -> None:
        self._namespace = namespace
        self._mirror = mirror
        self._values: dict[str, Any] = {}

    def hand_over(self, names: Collection[str], available: Iterable[str]) -> list[str]:
        """Prepare the namespace, whose names are `names`, for a notebook that knows nothing of it, and has `available`.

        Names that it lacks are there again. A value that was changed here and that no notebook has got stays as
        `name__remote`; returned is what to say of these.
        """
        coming = set(available)
        both = [name for name in names if name in coming]
        with self._namespace.plain():
            changed = self._changed(both)
            older = {name: value for name, value in self._values.items() if name not in self._namespace}
            back = {name: value for name, value in older.items() if name not in coming}
            self._bind(back)
            self._mirror.export(back)  # it is theirs who have it: the one that comes does not get it unasked
            kept = {name: value for name, value in older.items() if name in coming}
            self._values = kept | {name: dict.__getitem__(self._namespace, name) for name in both}
            self._bind({f"{name}__remote": self._values[name] for name in changed})
        return [f"{name} was changed in the session meanwhile: that value is {name}__remote" for name in changed]

    def forget(self, names: Iterable[str]) -> None:
        """Let go of names that are bound anew, or that nobody wants."""
        for name in names if self._values else ():
            self._values.pop(name, None)

    @contextmanager
    def back(self) -> Iterator[None]:
        """Have everything in the namespace, to be saved."""
        absent = {name: value for name, value in self._values.items() if not dict.__contains__(self._namespace, name)}
        self._bind(absent)
        try:
            yield
        finally:
            for name in absent:
                dict.pop(self._namespace, name, None)

    def _changed(self, names: Iterable[str]) -> list[str]:
        shared = self._mirror.shared_names()
        exchanged = {name for name in names if name in shared}
        export = self._mirror.export(exchanged)
        return sorted(exchanged.intersection(name for unit in export.units for name in unit.names))

    def _bind(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            dict.__setitem__(self._namespace, name, value)
