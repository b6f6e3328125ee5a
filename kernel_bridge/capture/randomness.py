"""The random generators and settings of libraries that no name holds: their states travel when they changed."""

from __future__ import annotations

import random
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kernel_bridge.capture.settings import SETTINGS

State = tuple[Any, ...]  # of numbers and bytes: cheap to compare, and plain data

DRAWING: Final = frozenset({"random", "statistics", "decimal", "warnings"})  # they have a state, or use one that has


class RandomStates:
    """What the other side is known to hold of these states.

    `changed` assumes that what it returns arrives; `forget` when it did not.
    """

    def __init__(self) -> None:
        self._known: dict[str, State] = {}

    def begin(self) -> None:
        """Take the states as they are for what the other side need not be told of."""
        self._known = _taken() | self._known

    def changed(self) -> dict[str, State]:
        """Return the states the other side lacks, by library."""
        found = {library: state for library, state in _taken().items() if self._known.get(library) != state}
        self._known |= found
        return found

    def put(self, states: Mapping[str, State]) -> list[str]:
        """Set the states that the other side sent; returns the libraries that are not imported here."""
        imported = {label: state for label, state in states.items() if label in _STATES and _is_imported(label)}
        for label, state in imported.items():
            _STATES[label][1](state)
            self._known[label] = state
        return [label for label in states if label in _STATES and label not in imported]

    def forget(self) -> None:
        """Take note that the other side holds none of them."""
        self._known.clear()


def may_draw(modules: Iterable[str]) -> bool:
    """Whether code that uses these modules may draw: `random` and what stands on it, and any package."""
    roots = {module.partition(".")[0] for module in modules}
    return not roots.isdisjoint(DRAWING) or not roots <= sys.stdlib_module_names


def module_of(label: str) -> str:
    """Return the module that a state belongs to."""
    return label.partition(":")[0]


def _is_imported(label: str) -> bool:
    return module_of(label) in sys.modules


def _taken() -> dict[str, State]:
    states = {label: take() for label, (take, _) in _STATES.items() if _is_imported(label)}
    return {library: state for library, state in states.items() if state}


def _take_python() -> State:
    version, numbers, gauss = random.getstate()
    return version, array("I", numbers).tobytes(), gauss


def _put_python(state: State) -> None:
    version, numbers, gauss = state
    random.setstate((version, tuple(array("I", numbers)), gauss))


def _take_numpy() -> State:
    """Return numpy's state; nothing where somebody gave it a generator of another kind."""
    numbers: Any = sys.modules["numpy.random"]
    state = numbers.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return ()
    return state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"], state["gauss"]


def _put_numpy(state: State) -> None:
    numbers: Any = sys.modules["numpy.random"]
    key, *rest = state
    numbers.set_state(("MT19937", array("I", key), *rest))


def _take_torch() -> State:
    torch: Any = sys.modules["torch"]
    return (torch.get_rng_state().numpy().tobytes(),)


def _put_torch(state: State) -> None:
    torch: Any = sys.modules["torch"]
    seed = torch.initial_seed()
    torch.set_rng_state(torch.frombuffer(bytearray(state[0]), dtype=torch.uint8))
    if torch.initial_seed() != seed:  # it was seeded on the other side, where there may be no card
        torch.cuda.manual_seed_all(torch.initial_seed())


# By the module they live in.
_GENERATORS: Final[Mapping[str, tuple[Callable[[], State], Callable[[State], None]]]] = {
    "random": (_take_python, _put_python),
    "numpy.random": (_take_numpy, _put_numpy),
    "torch": (_take_torch, _put_torch),
}
_STATES: Final = {**_GENERATORS, **SETTINGS}
