"""Options of libraries that no name holds and that a notebook sets once: how values are shown, what is warned about.

They follow the notebook to the container and come back when a cell changed them. What describes a machine does not:
environment variables, the locale, matplotlib's backend.
"""

from __future__ import annotations

import decimal
import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

State = tuple[Any, ...]  # plain data, cheap to compare

_USUAL_WARNINGS: Final = tuple(warnings.filters)
_PYTHONS_OWN: Final = frozenset({DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning})
# Of the machine or the process, not of the notebook.
_RC_STAYS: Final = re.compile(r"backend|interactive\Z|toolbar\Z|savefig\.directory|webagg|tk\.|macosx|date\.epoch")
_DECIMAL: Final = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_CYCLER: Final = "cycler"
_PLAIN: Final = (str, int, float, tuple, list)


def set_numpy(errors: Mapping[str, Any], printing: Mapping[str, Any]) -> None:
    """Set what numpy does about errors and how it prints; options of another release are left out."""
    np: Any = sys.modules["numpy"]
    np.seterr(**errors)
    known = np.get_printoptions()
    np.set_printoptions(**{name: value for name, value in printing.items() if name in known})


def leaves(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Return the options of a tree such as pandas has, each by its dotted name."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def set_pandas(wanted: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Set the options of pandas that are otherwise `now`; what this release does not know is left out."""
    pd: Any = sys.modules["pandas"]
    for name, value in wanted.items():
        if name in now and now[name] != value:
            pd.set_option(name, value)


def changed_rc() -> dict[str, Any]:
    """Return the rcParams of matplotlib that are not as it has them by itself."""
    matplotlib: Any = sys.modules["matplotlib"]
    usual = matplotlib.rcParamsDefault
    # As a plain dict: reading the backend would choose one.
    return {name: value for name, value in dict.items(matplotlib.rcParams) if dict.get(usual, name) != value}


def set_filters(filters: Sequence[Any]) -> None:
    """Put these in the place of the filters of `warnings`."""
    warnings.filters[:] = filters  # type: ignore[index]
    getattr(warnings, "_filters_mutated", lambda: None)()


def _take_numpy() -> State:
    np: Any = sys.modules["numpy"]
    printing = np.get_printoptions()
    plain = {name: value for name, value in printing.items() if name not in {"formatter", "override_repr"}}
    return dict(np.geterr()), plain


def _put_numpy(state: State) -> None:
    set_numpy(*state)


def _take_pandas() -> State:
    found = leaves(sys.modules["pandas"].options.d)
    return ({name: value for name, value in found if value is None or isinstance(value, _PLAIN)},)


def _put_pandas(state: State) -> None:
    (now,) = _take_pandas()
    set_pandas(state[0], now)


def _take_matplotlib() -> State:
    return ({name: _plain(value) for name, value in changed_rc().items() if not _RC_STAYS.match(name)},)


def _put_matplotlib(state: State) -> None:
    matplotlib: Any = sys.modules["matplotlib"]
    usual = matplotlib.rcParamsDefault
    now = {name: dict.get(usual, name) for name in _take_matplotlib()[0]}  # what was changed and is no more
    wanted = {name: _made(value) for name, value in state[0].items() if name in matplotlib.rcParams}
    dict.update(matplotlib.rcParams, now | wanted)


def _plain(value: Any) -> Any:
    return (_CYCLER, value.by_key()) if hasattr(value, "by_key") else value


def _made(value: Any) -> Any:
    is_cycler = isinstance(value, tuple) and len(value) == 2 and value[0] == _CYCLER
    return sys.modules["matplotlib"].cycler(**value[1]) if is_cycler else value


def _take_warnings() -> State:
    """Return the filters that were added since this was loaded, and what was ignored altogether before, by name."""
    known = {_filter(entry) for entry in _USUAL_WARNINGS if not _silences(*entry)}
    found = [_filter(entry) for entry in warnings.filters]
    return tuple(dict.fromkeys(entry for entry in found if entry not in known))


def _put_warnings(state: State) -> None:
    added = set(_take_warnings())
    kept = [entry for entry in warnings.filters if _filter(entry) not in added]
    found = [made for entry in state if (made := _made_filter(*entry)) is not None]
    set_filters([*found, *kept])


def _silences(action: str, message: Any, category: Any, module: Any, line: int) -> bool:
    """Whether a filter was the user's word that they want to see none of a kind of warning."""
    return action == "ignore" and not (message or module or line) and category not in _PYTHONS_OWN


def _filter(entry: tuple[Any, ...]) -> State:
    action, message, category, module, line = entry
    texts = [getattr(pattern, "pattern", pattern) for pattern in (message, module)]
    return action, texts[0], category.__module__, category.__qualname__, texts[1], line


def _made_filter(
    action: str, message: str | None, library: str, category: str, module: str | None, line: int
) -> tuple[Any, ...] | None:
    """Make a filter; None for a category of a library that is not here: nothing warns of that."""
    try:
        kind = getattr(importlib.import_module(library) if library == "builtins" else sys.modules[library], category)
    except (KeyError, AttributeError):
        return None
    patterns = [None if text is None else re.compile(text, flags) for text, flags in ((message, re.I), (module, 0))]
    return action, patterns[0], kind, patterns[1], line


def _take_decimal() -> State:
    context = decimal.getcontext()
    traps = sorted(signal.__name__ for signal, is_set in context.traps.items() if is_set)
    return *(getattr(context, name) for name in _DECIMAL), tuple(traps)


def _put_decimal(state: State) -> None:
    context = decimal.getcontext()
    *values, traps = state
    for name, value in zip(_DECIMAL, values, strict=True):
        setattr(context, name, value)
    for signal in context.traps:
        context.traps[signal] = signal.__name__ in traps


def _take_torch() -> State:
    torch: Any = sys.modules["torch"]
    options = vars(sys.modules["torch._tensor_str"].PRINT_OPTS)
    return str(torch.get_default_dtype()).removeprefix("torch."), torch.is_grad_enabled(), dict(options)


def _put_torch(state: State) -> None:
    torch: Any = sys.modules["torch"]
    dtype, gradients, options = state
    torch.set_default_dtype(getattr(torch, dtype))
    torch.set_grad_enabled(gradients)
    vars(sys.modules["torch._tensor_str"].PRINT_OPTS).update(options)


# By the module they live in, and after a colon by a name of their own where that has others.
SETTINGS: Final[Mapping[str, tuple[Callable[[], State], Callable[[State], None]]]] = {
    "warnings": (_take_warnings, _put_warnings),
    "decimal": (_take_decimal, _put_decimal),
    "numpy": (_take_numpy, _put_numpy),
    "pandas": (_take_pandas, _put_pandas),
    "matplotlib": (_take_matplotlib, _put_matplotlib),
    "torch:settings": (_take_torch, _put_torch),
}
