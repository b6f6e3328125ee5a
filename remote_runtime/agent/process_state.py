"""What a process has besides names, and what a cell may have changed of it: kept with the names over hibernation.

Each part is a plain value, saved like any other. Parts of a library that is not imported yet come back right after
its import, so that waking imports nothing.
"""

from __future__ import annotations

import decimal
import locale
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_bridge.capture import settings

Say = Callable[[str], None]

_RC_NOT_KEPT: Final = frozenset({"backend", "backend_fallback"})  # the container's own


@dataclass(frozen=True, slots=True)
class Base:
    """How the process was before the first cell."""

    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    path: list[str] = field(default_factory=lambda: list(sys.path))
    filters: list[Any] = field(default_factory=lambda: list(warnings.filters))
    locale: str = field(default_factory=lambda: locale.setlocale(locale.LC_ALL))
    directory: str = field(default_factory=os.getcwd)
    recursion_limit: int = field(default_factory=sys.getrecursionlimit)
    decimals: str = field(default_factory=lambda: repr(decimal.getcontext()))


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what a person calls it, the library it belongs to, how it is read (None: as it always is) and set."""

    label: str
    module: str
    take: Callable[[Base], Any]
    put: Callable[[Any], None]


class ProcessState:
    """The parts of this process. `say` is told, in a line, of one that cannot come back."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._base = Base()

    def begin(self) -> None:
        """Take note of how the process is before the first cell."""
        self._base = Base()

    def take(self, not_these: Iterable[str] = ()) -> dict[str, Any]:
        """Return the parts that are not as they always are; those of libraries nobody imported are left out."""
        left_out = frozenset(not_these)
        found = {}
        for name, part in PARTS.items():
            if name in left_out or not _is_imported(part):
                continue
            try:
                value = part.take(self._base)
            except Exception as error:  # noqa: BLE001 - a library's own business; the others are kept all the same
                self._say(f"{part.label} cannot be kept: {type(error).__name__}: {error}")
                continue
            if value is not None:
                found[name] = value
        return found

    def put(self, name: str, value: Any) -> None:
        """Set a part; what fails is said and costs nothing else."""
        part = PARTS.get(name)
        try:
            if part is not None:
                part.put(value)
        except Exception as error:  # noqa: BLE001 - a folder that is gone, an option of another release
            self._say(f"{label(name)} could not be brought back: {type(error).__name__}: {error}")


def label(name: str) -> str:
    """Return what a person calls a part."""
    return PARTS[name].label if name in PARTS else name


def module_of(name: str) -> str:
    """Return the library whose import a part waits for; empty when it waits for none."""
    part = PARTS.get(name)
    return "" if part is None or _is_imported(part) else part.module


def _is_imported(part: Part) -> bool:
    return not part.module or part.module in sys.modules


def _take_environ(base: Base) -> dict[str, str | None] | None:
    now = dict(os.environ)
    changed: dict[str, str | None] = {key: value for key, value in now.items() if base.environ.get(key) != value}
    return changed | dict.fromkeys(base.environ.keys() - now.keys()) or None


def _put_environ(changed: Mapping[str, str | None]) -> None:
    for key, value in changed.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


def _take_path(base: Base) -> dict[str, list[str]] | None:
    if sys.path == base.path:
        return None
    known = set(base.path)
    first = next((index for index, entry in enumerate(sys.path) if entry in known), len(sys.path))
    rest = [entry for entry in sys.path[first:] if entry not in known]
    return {"before": sys.path[:first], "after": rest, "without": [one for one in base.path if one not in sys.path]}


def _put_path(changed: Mapping[str, list[str]]) -> None:
    not_these = {*changed["before"], *changed["after"], *changed["without"]}
    sys.path[:] = [*changed["before"], *(one for one in sys.path if one not in not_these), *changed["after"]]


def _take_directory(base: Base) -> str | None:
    here = str(Path.cwd())
    return None if here == base.directory else here


def _take_interpreter(base: Base) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if repr(decimal.getcontext()) != base.decimals:
        found["decimal"] = decimal.getcontext().copy()
    if sys.getrecursionlimit() != base.recursion_limit:
        found["recursion_limit"] = sys.getrecursionlimit()
    if (language := locale.setlocale(locale.LC_ALL)) != base.locale:
        found["locale"] = language
    return found or None


def _put_interpreter(found: Mapping[str, Any]) -> None:
    if "decimal" in found:
        decimal.setcontext(found["decimal"])
    if "recursion_limit" in found:
        sys.setrecursionlimit(found["recursion_limit"])
    if "locale" in found:
        locale.setlocale(locale.LC_ALL, found["locale"])


def _take_numpy(_base: Base) -> dict[str, Any]:
    numpy: Any = sys.modules["numpy"]
    return {"errors": numpy.geterr(), "printing": numpy.get_printoptions()}


def _take_torch(_base: Base) -> dict[str, Any]:
    torch: Any = sys.modules["torch"]
    found = {
        "state": torch.get_rng_state(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cards"] = torch.cuda.get_rng_state_all()
    return found


def _put_torch(found: Mapping[str, Any]) -> None:
    torch: Any = sys.modules["torch"]
    torch.set_rng_state(found["state"])
    torch.set_default_dtype(found["dtype"])
    torch.set_grad_enabled(found["gradients"])
    torch.use_deterministic_algorithms(found["deterministic"])
    for number, state in enumerate(found.get("cards", ())):
        if number < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, number)  # it waits until the card is used


def _take_pandas(_base: Base) -> dict[str, Any]:
    return dict(settings.leaves(sys.modules["pandas"].options.d))


def _put_pandas(found: Mapping[str, Any]) -> None:
    settings.set_pandas(found, dict(settings.leaves(sys.modules["pandas"].options.d)))


def _take_rc(_base: Base) -> dict[str, Any] | None:
    return {key: value for key, value in settings.changed_rc().items() if key not in _RC_NOT_KEPT} or None


def _put_rc(found: Mapping[str, Any]) -> None:
    matplotlib: Any = sys.modules["matplotlib"]
    dict.update(matplotlib.rcParams, found)


def _take_figures(_base: Base) -> list[Any] | None:
    helpers: Any = sys.modules["matplotlib._pylab_helpers"]
    return [manager.canvas.figure for manager in helpers.Gcf.figs.values()] or None


def _put_figures(_figures: list[Any]) -> None:
    """Do nothing: a figure that was open is open again when it is unpickled."""


def _put_numpy_random(state: Any) -> None:
    numbers: Any = sys.modules["numpy.random"]
    numbers.set_state(state)


PARTS: Final[Mapping[str, Part]] = {
    "directory": Part("the working directory", "", _take_directory, lambda path: os.chdir(Path(path))),
    "environ": Part("environment variables", "", _take_environ, _put_environ),
    "path": Part("sys.path", "", _take_path, _put_path),
    "filters": Part(
        "warnings filters",
        "",
        lambda base: None if list(warnings.filters) == base.filters else list(warnings.filters),
        settings.set_filters,
    ),
    "interpreter": Part("locale and decimal context", "", _take_interpreter, _put_interpreter),
    "random": Part("the state of random", "", lambda _base: random.getstate(), random.setstate),
    "numpy": Part("numpy's settings", "numpy", _take_numpy, lambda found: settings.set_numpy(**found)),
    "numpy.random": Part(
        "the state of numpy.random",
        "numpy.random",
        lambda _base: sys.modules["numpy.random"].get_state(),
        _put_numpy_random,
    ),
    "pandas": Part("pandas' options", "pandas", _take_pandas, _put_pandas),
    "torch": Part("the state of torch", "torch", _take_torch, _put_torch),
    "matplotlib": Part("matplotlib's rcParams", "matplotlib", _take_rc, _put_rc),
    "figures": Part("open matplotlib figures", "matplotlib.pyplot", _take_figures, _put_figures),
}
