"""Two runs side by side: the first cell that differs, and in it every name and output that does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.differential.kernel import After, Lines, Output
from tests.differential.normalise import OF_VALUES, normalised, text
from tests.differential.notebook import Notebook

_MOST_SHOWN: Final = 12
_WIDE: Final = 400
_MISSING: Final = "(nothing)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same: where it is, and what it is on both sides."""

    where: str
    locally: str
    remotely: str

    def __str__(self) -> str:
        return f"  {self.where}\n    locally:  {_short(self.locally)}\n    remotely: {_short(self.remotely)}"


@dataclass(slots=True)
class Findings:
    """What comparing two runs found: the first cell that differs ends the comparison."""

    notebook: Notebook
    remote: frozenset[int]
    cell: int = -1
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        where = "remote" if self.cell in self.remote else "local"
        source = self.notebook.cells[self.cell].source
        remote = ",".join(str(index + 1) for index in sorted(self.remote))
        shown = "\n".join(map(str, self.differences[:_MOST_SHOWN]))
        more = len(self.differences) - _MOST_SHOWN
        rest = f"\n  ... and {more} more" if more > 0 else ""
        head = f"{self.notebook.name}: cell {self.cell + 1} ({where}) differs; remote were {remote or 'none'}"
        replay = f"python -m tests.differential {self.notebook.name} {f'--remote {remote}' if remote else '--twice'}"
        return f"{head}\n\n{_indented(source)}\n\n{shown}{rest}\n\n  again: {replay}"


def compare(
    notebook: Notebook, remote: frozenset[int], locally: Iterable[After], remotely: Iterable[After]
) -> Findings | None:
    """Compare two runs, cell by cell; return the first cell's differences. Reads no further than it has to."""
    stayed: set[str] = set()
    for index, (here, there) in enumerate(zip(locally, remotely, strict=True)):
        if index in remote:
            stayed |= notebook.cells[index].keeps
        found = [*_outputs(here.outputs, there.outputs), *_names(here, there, stayed)]
        if found:
            return Findings(notebook, remote, index, found)
    return None


def _outputs(here: list[Output], there: list[Output]) -> list[Difference]:
    left, right = [[_told(output) for output in normalised(side)] for side in (here, there)]
    if left == right:
        return []
    size = max(len(left), len(right))
    left, right = ([*side, *[_MISSING] * (size - len(side))] for side in (left, right))
    return [
        Difference(f"output {number}", *_around(one, other))
        for number, (one, other) in enumerate(zip(left, right, strict=True), 1)
        if one != other
    ]


def _told(output: Output) -> str:
    lines = [
        f"{name}: {value if isinstance(value, str) else repr(value)}" for name, value in sorted(output.data.items())
    ]
    metadata = f" {output.metadata}" if output.metadata else ""
    return f"{output.kind} {output.name}{metadata}\n" + "\n".join(lines)


def _around(one: str, other: str) -> tuple[str, str]:
    """Cut two texts to where they begin to differ."""
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(one.rfind("\n", 0, at) + 1, at - _WIDE // 2, 0)
    head = one.splitlines()[0] + ": ..." if start else ""
    return head + one[start:], (other.splitlines()[0] + ": ..." if start else "") + other[start:]


def _names(here: After, there: After, stayed: set[str]) -> list[Difference]:
    found: list[Difference] = []
    for name in sorted((here.names.keys() | there.names.keys()) - stayed):
        left, right = here.names.get(name), there.names.get(name)
        if left is None or right is None:
            found.append(Difference(name, *("bound" if side else "not bound" for side in (left, right))))
        elif left != right:
            found += _lines(name, left, right)
    return found


def _lines(name: str, left: Lines, right: Lines) -> list[Difference]:
    """Return the first difference inside a value; the rest mostly follows from it."""
    for one, other in zip([*left, None], [*right, None], strict=False):
        if one is None or other is None:
            return [
                Difference((one or other or [name])[0], one[1] if one else _MISSING, other[1] if other else _MISSING)
            ]
        if one[0] != other[0]:
            return [
                Difference(
                    f"{one[0]}, {other[0]}", f"{one[0]} comes here: {one[1]}", f"{other[0]} comes here: {other[1]}"
                )
            ]
        if one[1] != other[1] and text(one[1], OF_VALUES) != text(other[1], OF_VALUES):
            return [Difference(one[0], *_around(one[1], other[1]))]
    return []


def _short(told: str) -> str:
    return (told if len(told) <= _WIDE else f"{told[:_WIDE]}...").replace("\n", "\n              ")


def _indented(source: str) -> str:
    return "\n".join(f"    | {line}" for line in source.splitlines())
