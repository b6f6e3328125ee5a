"""What travels between two namespaces: values that share objects, as one pickle with its buffers."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernel_bridge.codecs.units import PackedUnit, ReceivedUnit

__all__ = ["AcceptReport", "Export", "ExportDraft", "PackedUnit", "ReceivedUnit", "Refusal", "TooLarge"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Names that cannot travel, and a sentence that says why."""

    names: tuple[str, ...]
    reason: str
    lost: bool = False  # it refers to a value that the side it lived on holds no more
    held: bool = False  # they could travel, and must not
    needs: str = ""  # the module that is not here, or not in this version


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Names whose unit is over the limit; the size is an estimate where it was not pickled."""

    names: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Export:
    """What one export decided about every name it was asked for, and about those that share objects with them."""

    units: tuple[PackedUnit, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    too_large: tuple[TooLarge, ...] = ()
    unchanged: tuple[str, ...] = ()


@dataclass(slots=True)
class ExportDraft:
    """An export as it grows."""

    units: list[PackedUnit] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    too_large: list[TooLarge] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    def finished(self) -> Export:
        """Return it as a value."""
        return Export(tuple(self.units), tuple(self.refusals), tuple(self.too_large), tuple(self.unchanged))


@dataclass(frozen=True, slots=True)
class AcceptReport:
    """What became of the units that arrived."""

    bound: tuple[str, ...] = ()
    updated_in_place: tuple[str, ...] = ()
    failures: tuple[Refusal, ...] = ()
