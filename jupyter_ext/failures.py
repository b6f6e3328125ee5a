"""What failed remotely, raised here: with the remote traceback's lines and none of our own frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernel_bridge.capture.walk import Named
from kernel_bridge.errors import CellburstError

_RED = "\x1b[0;31m"
_PLAIN = "\x1b[0m"


class RemoteError(Exception):
    """An exception of the remote cell whose own type cannot be had here; its subclasses bear that type's name."""

    def __init__(self, ename: str, evalue: str, original: BaseException | None = None) -> None:
        super().__init__(evalue)
        self.ename = ename
        self.evalue = evalue
        self.original = original


def remote_exception(
    ename: str, evalue: str, traceback: Sequence[str], travelled: BaseException | None = None
) -> BaseException:
    """Return the exception to raise here: the cell's own where it travelled, else a RemoteError of its name."""
    error = travelled if travelled is not None and not _shown_by_ipython(travelled) else None
    return rendered(error or _namesake(ename, evalue, travelled), traceback)


def rendered(error: BaseException, lines: Sequence[str]) -> BaseException:
    """Make IPython show these lines for an exception, now and in `%tb`."""
    shown = _Lines(lines)
    try:
        error._render_traceback_ = shown  # type: ignore[attr-defined]
    except (AttributeError, TypeError):  # it takes no attributes
        error = _namesake(type(error).__name__, str(error), error)
        error._render_traceback_ = shown  # type: ignore[attr-defined]
    return error


def one_line(error: CellburstError) -> BaseException:
    """Make IPython show one of our errors as one line."""
    return rendered(error, [f"{_RED}{type(error).__name__}{_PLAIN}: {error}"])


def syntax_error(shell: Any, error: SyntaxError) -> BaseException:
    """Return what to raise for a cell that is no Python: shown as IPython shows it, without our frames."""
    lines = shell.SyntaxTB.structured_traceback(type(error), error, [])
    return rendered(_namesake(type(error).__name__, str(error), error), lines)


def interrupted() -> BaseException:
    """Return a KeyboardInterrupt that shows none of our frames."""
    return rendered(KeyboardInterrupt(), [f"{_RED}KeyboardInterrupt{_PLAIN}: "])


class _Lines(Named):
    """What IPython shows for an exception; it stays here when the exception travels."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)

    def __call__(self, *_: object) -> list[str]:
        return self._lines


def _namesake(ename: str, evalue: str, original: BaseException | None) -> RemoteError:
    kind = type(ename, (RemoteError,), {"__doc__": RemoteError.__doc__, "__module__": __name__})
    made: RemoteError = kind(ename, evalue, original)
    return made


def _shown_by_ipython(error: BaseException | None) -> bool:
    """Tell whether IPython would ignore our lines: it shows syntax errors, exits and groups its own way."""
    seen: set[int] = set()
    if isinstance(error, SyntaxError | SystemExit):
        return True
    while error is not None and id(error) not in seen:
        if isinstance(error, BaseExceptionGroup):
            return True
        seen.add(id(error))
        error = error.__context__
    return False
