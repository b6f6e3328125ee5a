"""Laws of the exchange, for any structure of containers that share parts."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import Export, ReceivedUnit

Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(st.sampled_from(["list", "dict", "tuple", "set", "link", "bind", "atom"]), *[st.integers(0, 30)] * 2),
    max_size=25,
)


def build(plan: list[Step], namespace: dict[str, Any]) -> None:
    """Run a random program that makes containers and links them to each other."""
    pool: list[Any] = [value for name, value in sorted(namespace.items())] or [[]]
    for kind, one, other in plan:
        target, source = pool[one % len(pool)], pool[other % len(pool)]
        made: Any = {"list": [source], "dict": {"k": source, one: other}, "tuple": (source, one), "set": {one}}.get(
            kind
        )
        if made is not None:
            pool.append(made)
        elif kind == "bind":
            namespace[f"n{one % 8}"] = source
        elif isinstance(target, list):
            target.append(source if kind == "link" else one)
        elif isinstance(target, dict):
            target[f"k{other}"] = source if kind == "link" else one


def shape(value: Any, seen: dict[int, int], out: list[Any]) -> None:
    """Write a structure down with every shared part as a number, so that equal shapes are equal lists."""
    if isinstance(value, list | dict | set):
        if id(value) in seen:
            out.append(("seen", seen[id(value)]))
            return
        seen[id(value)] = len(seen)
    out.append((type(value).__name__, value if isinstance(value, int | str) else None))
    if isinstance(value, dict):
        for key, item in value.items():
            out.append(key)
            shape(item, seen, out)
    elif isinstance(value, set):
        out.append(sorted(value))
    elif isinstance(value, list | tuple):
        for item in value:
            shape(item, seen, out)
    out.append("end")


def shape_of(namespace: dict[str, Any]) -> list[Any]:
    """Return the shape of all names together."""
    seen: dict[int, int] = {}
    out: list[Any] = []
    for name in sorted(namespace):
        out.append(name)
        shape(namespace[name], seen, out)
    return out


def exchange(source: Mirror, target: Mirror, names: list[str]) -> Export:
    """Exchange some names; return what travelled and what need not."""
    export = source.export(names)
    assert not export.refusals
    report = target.accept(ReceivedUnit(unit.names, unit.pickle) for unit in export.units)
    assert not report.failures
    return export


def move(source: Mirror, target: Mirror, names: list[str]) -> int:
    """Exchange some names; return how many units travelled."""
    return len(exchange(source, target, names).units)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, steps)
def test_two_sides_stay_alike_and_keep_identity(first: list[Step], second: list[Step]) -> None:
    """Structure and aliasing survive; unchanged means nothing travels; a remote change arrives in the same objects."""
    local: dict[str, Any] = {}
    remote: dict[str, Any] = {}
    here, there = Mirror(local, references=ReferenceTable()), Mirror(remote, references=ReferenceTable())
    build(first, local)
    move(here, there, list(local))
    assert shape_of(remote) == shape_of(local)
    assert move(there, here, list(remote)) == 0
    assert move(here, there, list(local)) == 0
    before = dict(local)
    places = {name: id(value) for name, value in remote.items()}
    build(second, remote)
    move(there, here, list(remote))
    assert shape_of(local) == shape_of(remote)
    for name, value in before.items():
        if id(remote[name]) == places[name] and isinstance(value, list | dict | set):
            assert local[name] is value
    assert move(here, there, list(local)) == 0


def work(plan: list[Step], namespace: dict[str, Any], used: list[str]) -> None:
    """Run a random program that sees some names only."""
    seen = {name: namespace[name] for name in used if name in namespace}
    build(plan, seen)
    namespace.update(seen)


def tell_stale(source: Mirror, target: Mirror, namespace: dict[str, Any]) -> None:
    """Let the other side forget what was bound anew here, as a cell's manifest does."""
    stale = source.stale()
    source.drop(stale)
    target.retire(stale)
    for name in stale:
        namespace.pop(name, None)


NAMES = [f"n{index}" for index in range(8)]
rounds = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), steps), max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, rounds)
def test_a_notebook_of_local_and_remote_cells_ends_as_if_all_were_local(first: list[Step], cells: Any) -> None:
    """Cells that see some names only, here and there in turn, give the same structure as one kernel does."""
    local: dict[str, Any] = {}
    alone: dict[str, Any] = {}
    remote: dict[str, Any] = {}
    here, there = Mirror(local, references=ReferenceTable()), Mirror(remote, references=ReferenceTable())
    build(first, local)
    build(first, alone)
    for is_remote, used, plan in cells:
        work(plan, alone, used)
        if not is_remote:
            work(plan, local, used)
            continue
        tell_stale(here, there, remote)
        sent = exchange(here, there, used)
        work(plan, remote, used)
        reached = {*used, *sent.unchanged, *(name for unit in sent.units for name in unit.names)}
        move(there, here, [name for name in remote if name in reached or not there.is_current(name)])
        assert shape_of(local) == shape_of(alone)
