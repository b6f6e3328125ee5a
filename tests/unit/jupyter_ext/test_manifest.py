"""What each cell's manifest says, against a real mirror."""

from __future__ import annotations

from typing import Any

from jupyter_ext.handles import HandleTable
from jupyter_ext.manifest import Manifest
from kernel_bridge.capture.handle import HandleInfo
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.protocol.cells import ManifestChange


class Bench:
    """A namespace, its mirror and its manifest."""

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Any] = names
        self.references = HandleTable(lambda info: None)
        self.mirror = Mirror(self.names, references=self.references)
        self.manifest = Manifest()

    def cell(self, *ship: str) -> ManifestChange:
        """Ship names and return what the cell's manifest says."""
        self.mirror.export(ship)
        change = self.manifest.change(self.names.keys(), self.names, self.mirror)
        self.manifest.delivered(ship)
        return change


def test_the_first_cell_names_all_that_it_does_not_ship() -> None:
    """Nothing is known of the container yet."""
    bench = Bench(a=[1], b=[2], c=[3])
    assert bench.cell("a") == ManifestChange(full=True, available=("b", "c"))


def test_a_cell_without_news_says_nothing() -> None:
    """Only differences travel."""
    bench = Bench(a=[1], b=[2])
    bench.cell("a")
    assert bench.cell("a") == ManifestChange()


def test_new_rebound_and_deleted_names_are_told() -> None:
    """What the container holds under a rebound name is out of date."""
    bench = Bench(a=[1], b=[2], c=[3], d=[4])
    bench.cell("a", "c")
    bench.names.update(a=[10], e=[5])
    del bench.names["c"], bench.names["d"]
    assert bench.cell() == ManifestChange(available=("a", "e"), gone=("c", "d"))
    assert bench.cell() == ManifestChange()


def test_a_handle_is_held_until_its_name_is_rebound() -> None:
    """The container has the value: there is nothing to ask for."""
    bench = Bench(a=1)
    bench.cell("a")
    handle = bench.references.handle(HandleInfo("ses", "k1", "big", "list"))
    bench.names["big"] = handle
    bench.manifest.bind_handle("big", handle)
    assert bench.cell() == ManifestChange()
    bench.names["big"] = 7
    assert bench.cell() == ManifestChange(available=("big",))


def test_a_handle_nobody_refers_to_is_released_once() -> None:
    """The container may let go of the value then, not while another name holds it."""
    bench = Bench()
    handle = bench.references.handle(HandleInfo("ses", "k1", "big", "list"))
    other = handle
    del handle
    assert bench.references.take_released("ses") == ()
    assert [info.name for info in bench.references.alive("ses")] == ["big"]
    del other
    assert bench.references.take_released("ses") == ("k1",)
    assert bench.references.take_released("ses") == ()


def test_starting_over_names_everything_again() -> None:
    """The container's namespace is another one."""
    bench = Bench(a=[1])
    bench.cell("a")
    bench.mirror.clear()
    bench.manifest.start_over()
    assert bench.cell() == ManifestChange(full=True, available=("a",))
