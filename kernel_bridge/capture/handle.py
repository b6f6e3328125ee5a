"""A local stand-in for a value that stayed remote."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

from kernel_bridge.errors import RemoteValueError

Fetch = Callable[["HandleInfo"], Any]

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class HandleInfo:
    """What a handle shows of its value; everything in it is plain JSON."""

    session: str
    key: str
    name: str
    type: str
    shape: str | None = None
    dtype: str | None = None
    device: str | None = None
    size_bytes: int | None = None
    reason: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the plain dict that travels."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> HandleInfo:
        """Make it from the dict that travelled."""
        return cls(**wire)

    @property
    def size_and_place(self) -> str:
        """Say how large the value is and where, as in `3.2 GB on A100`."""
        size = None if self.size_bytes is None else format_bytes(self.size_bytes)
        place = None if self.device is None else f"on {self.device}"
        return " ".join(part for part in (size, place) if part)


class Handle:
    """A name for a value that lives in a session's container.

    It shows what it stands for and fetches it on demand; any other use raises RemoteValueError.
    """

    __slots__ = ("__weakref__", "_fetch", "_info", "_lost")

    def __init__(self, info: HandleInfo, fetch: Fetch) -> None:
        object.__setattr__(self, "_info", info)
        object.__setattr__(self, "_fetch", fetch)
        object.__setattr__(self, "_lost", "")

    def fetch(self) -> Any:
        """Bring the value home and return it."""
        return object.__getattribute__(self, "_fetch")(handle_info(self))

    @property
    def info(self) -> HandleInfo:
        """What is known of the value."""
        return handle_info(self)

    def __repr__(self) -> str:
        info = handle_info(self)
        lost = why_lost(self)
        where = f"lost: {lost}" if lost else ", ".join(part for part in (info.size_and_place, "remote") if part)
        details = [info.type, f"shape {info.shape}" if info.shape else "", info.dtype or "", where]
        return f"<{info.name}: {', '.join(part for part in details if part)}>"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"

    def __getattr__(self, name: str) -> Any:
        if (name.startswith("__") and name.endswith("__")) or name.startswith(("_repr_", "_ipython_")):
            raise AttributeError(name)
        refuse(self)

    def __setattr__(self, name: str, value: object) -> None:
        refuse(self)

    def __delattr__(self, name: str) -> None:
        refuse(self)

    def __dir__(self) -> list[str]:
        return ["fetch", "info"]

    __hash__ = object.__hash__


def handle_info(handle: Handle) -> HandleInfo:
    """Return what a handle stands for."""
    info: HandleInfo = object.__getattribute__(handle, "_info")
    return info


def mark_lost(handle: Handle, why: str) -> None:
    """Have a handle say that its value is gone; `why` is empty where it is not after all."""
    object.__setattr__(handle, "_lost", why)


def why_lost(handle: Handle) -> str:
    """Return why the value of a handle is gone; empty where it is not known to be."""
    why: str = object.__getattribute__(handle, "_lost")
    return why


def describe(value: object, *, name: str, session: str, key: str, reason: str) -> HandleInfo:
    """Describe a value that stays here for the handle that stands for it elsewhere."""
    return HandleInfo(
        session=session,
        key=key,
        name=name,
        type=type_name(value),
        shape=_text(value, "shape"),
        dtype=_text(value, "dtype"),
        device=_text(value, "device"),
        size_bytes=_size(value),
        reason=reason,
    )


def type_name(value: object) -> str:
    """Return a type as people write it: `list`, `numpy.ndarray`, `Model`."""
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    return kind.__qualname__ if root in {"builtins", "__main__"} else f"{root}.{kind.__qualname__}"


def format_bytes(size_bytes: int) -> str:
    """Return a size as people read it, as in `3.2 GB`."""
    amount, unit = float(size_bytes), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def refuse(handle: Handle) -> NoReturn:
    """Raise the error that tells what to do with a handle.

    Raises RemoteValueError, always.
    """
    info = handle_info(handle)
    if why := why_lost(handle):
        raise RemoteValueError(f"{info.name} is lost ({why}); run the cell that made it again")
    where = f" ({info.size_and_place})" if info.size_and_place else ""
    raise RemoteValueError(f"{info.name}{where} lives remotely; {info.name}.fetch() or use it in a %%gpu cell")


def _text(value: Any, attribute: str) -> str | None:
    try:
        if attribute == "device" and callable(getattr(value, "parameters", None)):
            value = next(iter(value.parameters()), None)
        found = getattr(value, attribute, None)
        if found is None or callable(found):
            return None
        return str(tuple(found)) if attribute == "shape" else str(found).removeprefix("torch.")
    except BaseException:  # noqa: BLE001 - describing a value must never fail because of its own code
        return None


def _size(value: Any) -> int | None:
    """Return a size that the value knows itself; a module's is that of its parameters."""
    try:
        if callable(getattr(value, "parameters", None)):
            return sum(int(part.numel()) * int(part.element_size()) for part in value.parameters())
        if callable(getattr(value, "memory_usage", None)):
            usage = value.memory_usage(index=True)
            return int(usage if isinstance(usage, int) else usage.sum())
        size = getattr(value, "nbytes", None)
        return int(size) if size is not None else sys.getsizeof(value)
    except BaseException:  # noqa: BLE001 - describing a value must never fail because of its own code
        return None


def _forbid(name: str) -> Callable[..., NoReturn]:
    def method(self: Handle, *_: object, **__: object) -> NoReturn:
        refuse(self)

    method.__name__ = name
    method.__doc__ = "Raise RemoteValueError: the value is not here."
    return method


_OPERATORS: Final = (
    "add sub mul truediv floordiv mod divmod pow matmul lshift rshift and or xor".split()  # noqa: SIM905
)
_FORBIDDEN: Final = [
    *("call getitem setitem delitem iter len bool contains next reversed enter exit aenter aexit await aiter".split()),  # noqa: SIM905
    *("eq ne lt le gt ge neg pos abs invert int float complex index round array format reduce_ex copy".split()),  # noqa: SIM905
    *(f"{prefix}{operator}" for prefix in ("", "r", "i") for operator in _OPERATORS),
]
for _name in _FORBIDDEN:
    setattr(Handle, f"__{_name}__", _forbid(f"__{_name}__"))
