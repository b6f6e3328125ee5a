"""100 MB of float64. *Out*: from the call until the array is bound in the other process and its reply is here; every
time another array, so that nothing is known already. *Back*: the other process made an array; from asking until it
is an ordinary array here. *Out and back* is the sum, turn by turn. Ours are whole `%%gpu` cells and `.fetch()`; Ray
puts and gets through its object store (what it gives back is read-only), ipyparallel pushes and pulls. *Unchanged*:
the next cell that reads the same array. *One element*: one number of it was changed in between. The limits: one
copy (or two) into memory that was written to before, as Ray's store is after the first arrays; and a *fresh file*
of shared memory written and mapped, which is what ours needs for every array it has not seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers import ipyparallel, limits, ray
from benchmarks.subject.cells import Notebook, notebook
from benchmarks.subject.runtime import runtime

COUNT: Final = 100_000_000 // 8
OURS, RAY, IPYPARALLEL, MEMCPY = "`%%gpu`", "Ray", "ipyparallel", "memcpy"
FRESH = "fresh file of shared memory"
SAME, ELEMENT = "`%%gpu`, unchanged", "`%%gpu`, one element"
OUT, BACK, BOTH = "out", "back", "out and back"


def named(who: str, way: str) -> str:
    """Return the name of a contestant."""
    return f"{who}, {way}"


def measure(effort: Effort) -> Measured:
    """Measure."""
    fresh = arrays()
    with runtime() as plane, notebook() as book, ipyparallel.engine() as view, ray.actor() as actor:
        base = next(fresh)
        copy = limits.copier(base)
        pairs: dict[str, tuple[Callable[[Any], object], Callable[[], Any], Callable[[float], object]]] = {
            OURS: (lambda array: send(book, array), lambda: fetch(book), lambda value: make(book, value)),
            RAY: (
                lambda array: ray.wait(actor.take.remote(ray.put(array))),
                lambda: ray.wait(actor.give.remote()),
                lambda value: ray.wait(actor.make.remote(value, COUNT)),
            ),
            IPYPARALLEL: (
                lambda array: view.push({"a": array}),
                lambda: view.pull("made")[0],
                lambda value: view.execute(f"import numpy; made = numpy.full({COUNT}, {value!r})"),
            ),
            MEMCPY: (lambda _array: copy(), lambda: copy() or base, lambda _value: None),
        }
        ways: dict[str, list[float]] = {}
        contestants = [Contestant(who, journey(who, *pair, fresh, ways), own_clock=True) for who, pair in pairs.items()]
        both = contest(contestants, runs=effort.times(12), warm_up=2, limit_s=150)
        again = contest(repeated(book, next(fresh)), runs=effort.times(12), warm_up=2, limit_s=30)
        arena = Path(next(session.arena for session in plane.sessions()))
        shared = Contestant(FRESH, lambda: limits.write_shared(arena / "limit", base), rest=(arena / "limit").unlink)
        again |= contest([shared], runs=effort.times(12), limit_s=30)
    count = len(both[OURS])
    split = {name: seconds[-count:] for name, seconds in ways.items()}  # without the warming up
    return Measured({**split, **{named(who, BOTH): seconds for who, seconds in both.items()}, **again})


def journey(
    who: str,
    push: Callable[[Any], object],
    pull: Callable[[], Any],
    produce: Callable[[float], object],
    fresh: Iterator[Any],
    ways: dict[str, list[float]],
) -> Callable[[], float]:
    """Return what takes another array out and one back, and notes both times."""

    def run() -> float:
        array = next(fresh)
        began_s = time.perf_counter()
        push(array)
        out_s = time.perf_counter() - began_s
        value = float(array[0])
        produce(value)
        began_s = time.perf_counter()
        got = pull()
        back_s = time.perf_counter() - began_s
        if len(got) != COUNT or (who != MEMCPY and got[-1] != value):
            raise RuntimeError(f"{who} gave back another array")
        ways.setdefault(named(who, OUT), []).append(out_s)
        ways.setdefault(named(who, BACK), []).append(back_s)
        return out_s + back_s

    return run


def arrays() -> Iterator[Any]:
    """Yield arrays of which no two have a page in common."""
    base = np.random.default_rng(1).random(COUNT)
    step = 0.0
    while True:
        step += 1.0
        yield base + step


def send(book: Notebook, array: Any) -> None:
    """Have a cell read an array."""
    book["a"] = array
    book.gpu("assert len(a)")


def fetch(book: Notebook) -> Any:
    """Bring home what stayed there."""
    return book["made"].fetch()


def make(book: Notebook, value: float) -> None:
    """Have a cell make an array that stays there."""
    book.gpu(f"import numpy\nmade = numpy.full({COUNT}, {value!r})", "--leave made")


def repeated(book: Notebook, array: Any) -> list[Contestant]:
    """Return the cells that read an array which is there already."""
    book["b"] = array
    book.gpu("assert len(b)")

    def change() -> None:
        array[len(array) // 2] += 1.0

    def read() -> None:
        book.gpu("assert len(b)")

    return [Contestant(SAME, read), Contestant(ELEMENT, read, prepare=change)]


FACTOR = round(13 / 7.6, 2)  # the promise in milliseconds beside memcpy on the machine it was written on
ROW = Row(
    title="An array of 100 MB, out and back, on one host",
    measure=measure,
    reference=named(MEMCPY, BOTH),
    ours=(named(OURS, OUT), named(OURS, BACK), named(OURS, BOTH), SAME, ELEMENT),
    limits=(FRESH, named(MEMCPY, OUT), named(MEMCPY, BACK), named(MEMCPY, BOTH)),
    promises=(
        Promise(
            what="100 MB array out (13 ms where memcpy takes 7.6)",
            contestant=named(OURS, OUT),
            limit=FACTOR,
            of=named(MEMCPY, OUT),
            why="by a profile on a busy machine, mostly writing a fresh file of shared memory",
        ),
        Promise(
            what="100 MB array out and back (26 ms where two copies take 15)",
            contestant=named(OURS, BOTH),
            limit=FACTOR,
            of=named(MEMCPY, BOTH),
            why="back is most of it, and has not been taken apart",
        ),
        Promise(
            what="unchanged 100 MB, next cell",
            contestant=SAME,
            limit=5.0,
            why="on a busy machine a third is the fingerprint taken here, the rest the wait for the container",
        ),
    ),
    memory_bytes=3 << 30,
)
