"""Which object here is which object there: a number for every changeable object both sides hold."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Anchor = Callable[[], Any]


def anchor(value: object) -> Anchor:
    """Return a callable that gives the value while it lives; weak where its type allows, so that `del` frees memory."""
    try:
        return weakref.ref(value)
    except TypeError:
        return _Strong(value)


class Identities:
    """The two-way table of numbers and objects; numbers are retained by the units that mention them."""

    def __init__(self) -> None:
        self._prefix = int.from_bytes(os.urandom(4), "big") << 32
        self._count = 0
        self._anchors: dict[int, Anchor] = {}
        self._tokens: dict[int, int] = {}  # by id: it outlives the object, so the anchor has the last word
        self._ids: dict[int, int] = {}  # the other way round: a dead object's id is still to be taken out
        self._uses: Counter[int] = Counter()
        self._holds = 0
        self._unused: list[int] = []  # while held: numbers no unit mentions at the moment

    @contextmanager
    def held(self) -> Iterator[None]:
        """Forget no number meanwhile: an object that leaves one unit may turn up in the next."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if not self._holds and self._unused:
                unused, self._unused = self._unused, []
                self.sweep(unused)

    def token_of(self, value: object) -> int:
        """Return the number of an object, a new one if it has none."""
        token = self._tokens.get(id(value))
        if token is not None and self.object_of(token) is value:
            return token
        self._count += 1
        token = self._prefix | self._count
        self.bind(token, value)
        return token

    def object_of(self, token: int) -> Any | None:
        """Return the object with a number, or None when there is none here."""
        found = self._anchors.get(token)
        return None if found is None else found()

    def bind(self, token: int, value: object) -> None:
        """Let a number mean an object from now on."""
        self._unbind(token)
        self._anchors[token] = anchor(value)
        self._tokens[id(value)] = token
        self._ids[token] = id(value)

    def retain(self, tokens: Iterable[int]) -> None:
        """Count one more unit that mentions these."""
        self._uses.update(tokens)

    def release(self, tokens: Iterable[int]) -> None:
        """Count one unit less; numbers no unit mentions are forgotten."""
        for token in tokens:
            self._uses[token] -= 1
            if self._uses[token] <= 0:
                del self._uses[token]
                self._forget(token)

    def sweep(self, tokens: Iterable[int]) -> None:
        """Forget those of these numbers that no unit came to mention."""
        unused = [token for token in tokens if token not in self._uses]
        for token in unused:
            self._forget(token)

    def _forget(self, token: int) -> None:
        if self._holds:
            self._unused.append(token)
        else:
            self._unbind(token)
            self._anchors.pop(token, None)

    def _unbind(self, token: int) -> None:
        place = self._ids.pop(token, None)
        if place is not None and self._tokens.get(place) == token:
            del self._tokens[place]


class _Strong:
    """An anchor for types that know no weak references."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __call__(self) -> object:
        return self._value
