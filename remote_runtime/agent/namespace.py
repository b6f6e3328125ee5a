"""The cell's namespace: a dict whose missing names are fetched from the notebook on first touch.

`__missing__` on the namespace itself does not do: class bodies, `eval` in functions and `!echo $x` copy or bypass it,
`del a` followed by `a` would resurrect the name, and every builtin would pay for it. What CPython does consult for
every global name it does not find is `__builtins__`, and that may be a dict subclass: it holds the real builtins, then
asks the live `builtins` module (IPython swaps `input` and `get_ipython` there), then pages.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

Page = Callable[[str], bool]  # fetch this name into the namespace; False when the notebook has none

# Replaced in the live module while cells run, so never answered from our copy.
_LIVE: Final = frozenset({"input", "get_ipython", "display", "exit", "quit"})


class PagingBuiltins(dict[str, Any]):
    """What CPython asks for a global name that the namespace lacks."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__()
        self._namespace = namespace
        self.refresh()

    def refresh(self, hidden: Iterable[str] = ()) -> None:
        """Copy the live builtins anew, leaving out those the notebook shadows: they are paged first."""
        self.update(vars(builtins))
        for name in (*_LIVE, *hidden):
            self.pop(name, None)

    def __missing__(self, name: str) -> Any:
        if self._namespace.fetch(name):
            return dict.__getitem__(self._namespace, name)
        return vars(builtins)[name]

    def __getattr__(self, name: str) -> Any:
        # In `__main__`, `__builtins__` is the module, and code asks it: hasattr(__builtins__, "__IPYTHON__").
        return getattr(builtins, name)


class Namespace(dict[str, Any]):
    """The user namespace. Reads by code page through `__builtins__`; reads by `get`, `in` and `copy` page here."""

    def __init__(self) -> None:
        super().__init__()
        self._page: Page | None = None
        self._pageable: Callable[[], frozenset[str] | set[str]] = frozenset
        self._plain = threading.local()
        self.builtins = PagingBuiltins(self)
        self.install_builtins()

    def attach(self, page: Page, pageable: Callable[[], set[str]]) -> None:
        """Say where missing names come from; until then there are none."""
        self._page = page
        self._pageable = pageable

    def install_builtins(self) -> None:
        """Put our builtins in place; `%run` replaces them by the plain module."""
        dict.__setitem__(self, "__builtins__", self.builtins)

    def fetch(self, name: str) -> bool:
        """Fetch one name if the notebook has it; True when it is bound now."""
        return self._page is not None and name in self._pageable() and self._page(name)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Be an ordinary dict to this thread: capture looks at what is here, not at what could be."""
        before = getattr(self._plain, "on", False)
        self._plain.on = True
        try:
            yield
        finally:
            self._plain.on = before

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value, fetching it first if need be."""
        if not dict.__contains__(self, name) and not getattr(self._plain, "on", False):
            self.fetch(name)
        return dict.get(self, name, default)

    def __contains__(self, name: object) -> bool:
        here = dict.__contains__(self, name)
        return here or (not getattr(self._plain, "on", False) and name in self._pageable())

    def copy(self) -> dict[str, Any]:
        """Return a copy that pages too: IPython expands `$x` in one."""
        return _PagingCopy(self)


class _PagingCopy(dict[str, Any]):
    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace)
        self._namespace = namespace

    def __missing__(self, name: str) -> Any:
        if self._namespace.fetch(name):
            return dict.__getitem__(self._namespace, name)
        raise KeyError(name)


class MainModule:
    """`__main__`, whose attributes are the namespace's names, paged ones included."""

    __spec__ = None

    def __init__(self, namespace: Namespace) -> None:
        namespace.setdefault("__name__", "__main__")
        self.__dict__ = namespace

    def __getattr__(self, name: str) -> Any:
        namespace: Any = self.__dict__
        if namespace.fetch(name):
            return dict.__getitem__(namespace, name)
        raise AttributeError(f"module '__main__' has no attribute '{name}'")
