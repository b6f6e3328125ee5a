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
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol

from kernel_bridge.capture.walk import Named
from kernel_bridge.codecs.functions import builtins_here
from kernel_bridge.errors import CannotTravel

Page = Callable[[str], bool]  # fetch this name into the namespace; False when the notebook has none


class Pages(Protocol):
    """Who fetches names."""

    def page(self, name: str) -> bool:
        """Fetch one name; False when there is none after all."""

    def has(self, name: object) -> bool:
        """Tell whether a name may be fetched now."""

    def names(self) -> set[str]:
        """Return the names that may be fetched now."""

    def drop(self, name: str) -> None:
        """Note that a name was deleted here."""


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

    def __reduce__(self) -> tuple[Callable[[], dict[str, Any]], tuple[()]]:
        # `exec` puts what the running code has for builtins into the globals it is given.
        return builtins_here, ()

    def __getattr__(self, name: str) -> Any:
        # In `__main__`, `__builtins__` is the module, and code asks it: hasattr(__builtins__, "__IPYTHON__").
        return getattr(builtins, name)


class Namespace(dict[str, Any]):
    """The user namespace. Reads by code page through `__builtins__`; reads by `get`, `in` and `copy` page here."""

    def __init__(self) -> None:
        super().__init__()
        self._page: Page | None = None
        self._may_page: Callable[[object], bool] = lambda name: False
        self._pageable: Callable[[], set[str]] = set
        self._drop: Callable[[str], None] = lambda name: None
        self._plain = threading.local()
        self._unlisted: frozenset[str] = frozenset()
        self.builtins = PagingBuiltins(self)
        self.install_builtins()

    def attach(self, pages: Pages) -> None:
        """Say where missing names come from, and who is told that one was deleted; until then there are none."""
        self._page = pages.page
        self._may_page = pages.has
        self._pageable = pages.names
        self._drop = pages.drop

    def look_through(self, unlisted: frozenset[str] | None) -> None:
        """Let the running cell use this as a dict of all names but these: `globals()['a']`, `vars().items()`.

        With None it is none any more: each builtin that code uses would cost a call.
        """
        self._unlisted = unlisted or frozenset()
        self.__class__ = Namespace if unlisted is None else WholeNamespace

    def install_builtins(self) -> None:
        """Put our builtins in place; `%run` replaces them by the plain module."""
        dict.__setitem__(self, "__builtins__", self.builtins)

    def fetch(self, name: str) -> bool:
        """Fetch one name if the notebook has it; True when it is bound now."""
        return self._page is not None and self._may_page(name) and self._page(name)

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
        return here or (not getattr(self._plain, "on", False) and self._may_page(name))

    def __delitem__(self, name: str) -> None:
        """Delete a name, also one that was not fetched yet: it must not come back."""
        if self._may_page(name):
            self._drop(name)
            dict.pop(self, name, None)
        else:
            dict.__delitem__(self, name)

    def pop(self, name: str, *default: Any) -> Any:
        """Delete a name and return its value, fetched first if need be."""
        if not dict.__contains__(self, name):
            self.fetch(name)
        return dict.pop(self, name, *default)

    def copy(self) -> dict[str, Any]:
        """Return a copy that pages too: IPython expands `$x` in one."""
        return _PagingCopy(self)


class WholeNamespace(Namespace):
    """The namespace while a cell looks at it as a dict: what is not here yet is fetched when its value is asked for."""

    def __missing__(self, name: str) -> Any:
        if not getattr(self._plain, "on", False) and self.fetch(name):
            return dict.__getitem__(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        absent = () if getattr(self._plain, "on", False) else sorted(self._pageable() - self._unlisted)
        return iter(dict.fromkeys(dict.keys(self)) | dict.fromkeys(absent))

    def keys(self) -> Any:
        """Return all names."""
        return dict.fromkeys(self).keys()

    def values(self) -> Any:
        """Return all values, fetched."""
        return self._fetched().values()

    def items(self) -> Any:
        """Return all names and values, fetched."""
        return self._fetched().items()

    def _fetched(self) -> dict[str, Any]:
        found = {}
        for name in self:
            with suppress(CannotTravel, KeyError):  # the code that touches such a name itself is told why
                found[name] = self[name]
        return found


class _PagingCopy(dict[str, Any]):
    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace)
        self._namespace = namespace

    def __missing__(self, name: str) -> Any:
        if self._namespace.fetch(name):
            return dict.__getitem__(self._namespace, name)
        raise KeyError(name)


class MainModule(Named, ModuleType):
    """`__main__`, whose attributes are the namespace's names, paged ones included."""

    __slots__ = ("_namespace",)
    _namespace: Namespace

    def __init__(self, namespace: Namespace) -> None:
        super().__init__("__main__")
        namespace.setdefault("__name__", "__main__")
        ModuleType.__setattr__(self, "_namespace", namespace)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # `vars()` of a module is what its code runs in
        return self._namespace

    def __setattr__(self, name: str, value: Any) -> None:
        self._namespace[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._namespace[name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        return import_module, ("__main__",)

    def __getattr__(self, name: str) -> Any:
        if dict.__contains__(self._namespace, name) or self._namespace.fetch(name):
            return dict.__getitem__(self._namespace, name)
        raise AttributeError(f"module '__main__' has no attribute '{name}'")
