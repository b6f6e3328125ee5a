"""Values whose own pickle is missing, or makes something else of them, arrive as what they were."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.pickler import pack, unpack

NAMESPACE: dict[str, Any] = {"__name__": "__main__"}


def arrived(value: Any) -> Any:
    """Return what arrives of a value."""
    packed = pack(value, NAMESPACE, ReferenceTable(), Memory())
    return unpack(packed.pickle, packed.buffers, NAMESPACE, ReferenceTable())


class _Picky(ValueError):
    def __init__(self, text: str, place: int) -> None:
        super().__init__(f"{text} at {place}")
        self.place = place


class _PickyFile(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "no such thing", path)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (_Picky("x", 3), ("args", "place")),
        (_PickyFile("there"), ("args", "errno", "filename")),
        (ModuleNotFoundError("none", name="that"), ("args", "name")),
        (StopIteration(3), ("value",)),
        (SystemExit(4), ("code",)),
        (UnicodeDecodeError("utf8", b"x", 0, 1, "bad"), ("object", "reason")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_arrives_whatever_its_constructor_wants(error: Exception, attributes: tuple[str, ...]) -> None:
    """Its class is not called with its arguments, which need not be those it was made with."""
    found = arrived(error)
    assert type(found).__name__ == type(error).__name__
    assert [getattr(found, name) for name in attributes] == [getattr(error, name) for name in attributes]


def test_a_match_is_found_again() -> None:
    """What a pattern found can be asked for its groups; that of a search in the middle of a text, too."""
    matches = [*re.finditer(r"(?<=b)(\d)|^a", "ab1b2"), re.fullmatch(r"(?P<all>\w+)", "aaa")]
    assert [(one.span(), one.groups(), one.groupdict()) for one in arrived(matches)] == [
        (one.span(), one.groups(), one.groupdict()) for one in matches if one
    ]


def test_what_means_something_by_being_itself_is_itself() -> None:
    """A dataclass that arrived has the library's own MISSING: another would be taken for a default."""

    @dataclasses.dataclass
    class Point:
        x: int

    assert arrived(Point).__dataclass_fields__["x"].default is dataclasses.MISSING


@pytest.mark.parametrize("mode", ["r", "w", "ab"])
def test_a_closed_file_arrives_closed(tmp_path: Path, mode: str) -> None:
    """`with open(...) as file` leaves a name behind, which is no reason to keep anything."""
    path = tmp_path / "notes.txt"
    path.write_text("kept")
    with path.open("r" if mode == "r" else mode) as file:
        pass
    left = path.read_bytes()
    found = arrived(file)
    assert (found.closed, found.name, found.mode, type(found)) == (True, file.name, file.mode, type(file))
    assert path.read_bytes() == left


def test_a_plot_keeps_its_arrays() -> None:
    """plotly's own pickle writes arrays as text, and reads them back as dicts."""
    numpy, express = pytest.importorskip("numpy"), pytest.importorskip("plotly.express")
    figure = express.scatter(x=numpy.arange(3.0), y=[1, 2, 3])
    found = arrived(figure)
    assert isinstance(found.data[0].x, numpy.ndarray)
    assert found == figure
