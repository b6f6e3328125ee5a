"""Stand-ins for modules that are installed on the other side only: `Image.imports()` makes them in the notebook."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_importing = 0


@contextmanager
def importing() -> Iterator[None]:
    """Let attributes of stand-ins be stand-ins, as `from torch import nn` asks for them."""
    global _importing  # noqa: PLW0603 - it is as wide as sys.meta_path
    _importing += 1
    try:
        yield
    finally:
        _importing -= 1


class Elsewhere:
    """A module, or something out of one, by its name; pickled, it is the thing itself."""

    def __init__(self, module: str, attribute: str = "") -> None:
        self.__dict__["__name__"] = module
        self.__dict__["_attribute"] = attribute

    def __getattr__(self, name: str) -> Any:
        if _importing and not name.startswith("__") and not self._attribute:
            return Elsewhere(self.__name__, name)
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModuleNotFoundError(f"{self!r}: use it in a `%%gpu` cell with that image.", name=self.__name__)

    def __reduce__(self) -> Any:
        return there, (self.__name__, self._attribute)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Raise: there is nothing to call here."""
        del args, kwargs
        raise ModuleNotFoundError(f"{self!r}: use it in a `%%gpu` cell with that image.", name=self.__name__)

    def __repr__(self) -> str:
        what = f"{self._attribute} of {self.__name__}" if self._attribute else self.__name__
        return f"<{what} is not installed here, only in the image>"


def there(module: str, attribute: str) -> Any:
    """Return the thing itself where it is installed; raises ImportError or AttributeError."""
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
