"""Keep two namespaces alike: what the other side holds, what must be sent to it, and what came from it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from typing import Any

from kernel_bridge.capture.covariables import components
from kernel_bridge.capture.finalizers import has_finalizer, hush, hush_last
from kernel_bridge.capture.identities import Identities
from kernel_bridge.capture.inplace import Update
from kernel_bridge.capture.packing import Packing, Pickled, why_not_here
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.shares import GONE, SCALARS, Shared, Shares
from kernel_bridge.capture.units import AcceptReport, Export, ExportDraft, PackedUnit, ReceivedUnit, Refusal, TooLarge
from kernel_bridge.capture.walk import Survey, survey
from kernel_bridge.codecs.absent import raised_in
from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.diagnose import diagnose
from kernel_bridge.codecs.guard import OverLimit
from kernel_bridge.codecs.hashing import KnownDigests, address
from kernel_bridge.codecs.pickler import pack, unpack
from kernel_bridge.codecs.plain_data import pack_data, unpack_data
from kernel_bridge.codecs.strings import remembered
from kernel_bridge.errors import CannotTravel, NotFound


class Mirror:
    """What the other side is known to hold of this namespace.

    Both sides have one. `export` assumes that what it returns arrives: when it does not, `drop` those names.
    `why_not` looks at a unit that is about to leave and says why it must not; an empty string lets it go.
    `identities` are another mirror's, for one that is to number this namespace's objects as that one does.
    """

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        *,
        references: ReferenceTable,
        why_not: Callable[[PackedUnit], str] | None = None,
        identities: Identities | None = None,
    ) -> None:
        self._namespace = namespace
        self._references = references
        self._why_not = why_not
        self._identities = identities or Identities()
        self._packing = Packing(namespace, references, self._identities)
        self._shares = Shares(namespace, self._identities)
        self.sends_data_only = False  # the other side takes plain data, and nothing that could run code
        self.takes_data_only = False

    @property
    def identities(self) -> Identities:
        """Return the numbers that objects have for both sides."""
        return self._identities

    def export(self, names: Iterable[str], *, limit_bytes: int | None = None) -> Export:
        """Pickle what the other side lacks of these names; names that are not bound here are left out.

        Names that share changeable objects with them, and that the other side holds, come along.
        """
        asked = dict.fromkeys(names)
        with self._identities.held():
            self._part(asked)
            return self._export(asked, limit_bytes)

    def accept(self, units: Iterable[ReceivedUnit]) -> AcceptReport:
        """Bind what arrived, into the objects that are here already where they can take it.

        A unit that cannot be unpickled is reported; the others are accepted all the same.
        """
        bound: list[str] = []
        in_place: list[str] = []
        failures: list[Refusal] = []
        with self._identities.held():
            for unit in units:
                try:
                    with remembered():
                        updated = self._accept_unit(unit)
                except BaseException as error:  # noqa: BLE001 - unpickling runs any code; one bad unit must not lose the others
                    _let_interrupts_pass(error)
                    lost, needs = isinstance(error, NotFound), str(getattr(error, "module", "") or raised_in(error))
                    why = why_not_here(error, in_container=self._references.in_container)
                    failures.append(Refusal(unit.names, why, lost=lost, needs=needs))
                    continue
                in_place += [name for name in unit.names if name in updated]
                bound += [name for name in unit.names if name not in updated]
        return AcceptReport(tuple(bound), tuple(in_place), tuple(failures))

    def rebuild(self, unit: ReceivedUnit) -> Any:
        """Unpickle what arrived, by name and in a tuple with its bookkeeping; raises what unpickling raises."""
        read = unpack_data if self.takes_data_only else unpack
        return read(unit.pickle, unit.buffers, self._namespace, self._references)

    def held(self) -> AbstractContextManager[None]:
        """Go on knowing every object that was exchanged, for values that arrive one after another."""
        return self._identities.held()

    def is_current(self, name: str) -> bool:
        """Whether the other side was given this name's value and it is still bound to the same object."""
        unit = self._shares.get(name)
        return unit is not None and unit.fingerprint is not None and self._shares.is_anchored(name, unit)

    def changed(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of these names whose values were changed in place since they were exchanged; sends nothing."""
        asked = frozenset(names)
        units = self._shares.units_of(name for name in asked if self.is_current(name))
        # Of a unit that comes back in part, names were bound anew over there: the rest is not what it brings.
        whole = [unit for unit in units if asked.issuperset(unit.names)]
        with self._identities.held():
            return frozenset(name for unit in whole if self._differs(unit) for name in unit.names)

    def shared_names(self) -> frozenset[str]:
        """Return the names the other side holds, up to date or not."""
        return frozenset(self._shares)

    def stale(self) -> frozenset[str]:
        """Return the shared names that are now bound to another object or to none.

        Values no name is bound to any more are let go of, so call it after each local cell; not between a cell and
        the export of what it changed, because an object let go of is no longer known for the same if it turns up there.
        """
        return self._shares.stale()

    def ids_inside(self, value: object) -> frozenset[int]:
        """Return the identities of what can change inside a value, also inside one that stays here."""
        return frozenset(survey(value, self._namespace, ReferenceTable()).ids)

    def names_touching(self, ids: frozenset[int]) -> tuple[str, ...]:
        """Return the shared names whose units hold any of these, in order."""
        return tuple(sorted(name for unit in self._shares.touching(ids) for name in unit.names))

    def drop(self, names: Iterable[str]) -> None:
        """Forget that the other side holds these names; they are sent whole when they are next exported."""
        self._shares.replace(names)

    def retire(self, names: Iterable[str]) -> None:
        """Take note that the other side has these names no more; what shared a unit with them stays as exchanged.

        Call it between cells, while this side's values are what was last exchanged.
        """
        gone = frozenset(names)
        for unit in self._shares.units_of(gone):
            was_current, tokens = unit.fingerprint is not None, unit.tokens
            left = tuple(name for name in unit.names if name not in gone and self._shares.is_anchored(name, unit))
            self._identities.retain(tokens)
            self.drop(gone.intersection(unit.names))
            if was_current and left:
                self._record_accepted(left, tokens, KnownDigests())
            self._identities.release(tokens)

    def clear(self) -> None:
        """Forget everything, as for an other side that starts anew."""
        self._identities = Identities()
        self._shares = Shares(self._namespace, self._identities)
        self._packing = Packing(self._namespace, self._references, self._identities)

    def _export(self, names: Iterable[str], limit_bytes: int | None) -> Export:
        draft = ExportDraft()
        surveys: dict[str, Survey] = {}
        for name in names:
            if name not in self._namespace:
                continue
            if self._shares.is_same_scalar(name):
                draft.unchanged.append(name)
            else:
                self._survey_into(surveys, name, draft)
        wanted = set(surveys)
        self._add_relatives(surveys, draft)
        groups = components(surveys, surveys)
        # What the other side holds as one unit with a wanted name goes too, even if it shares nothing with it any
        # more: the other side still believes that it does, and would send it back with the wanted name.
        while len(wanted) != len(wanted := wanted | self._bound_together(wanted, groups)):
            pass
        for group in groups:
            if not wanted.isdisjoint(group):
                self._export_group(group, surveys, limit_bytes, draft)
        return draft.finished()

    def _part(self, asked: Collection[str]) -> None:
        """Part names bound anew from what shared a unit with them, where that is not asked for: nothing reached it.

        It would be sent with them, over what the other side may have made of its own since.
        """
        for name in asked:
            unit = self._shares.get(name)
            if unit is not None and len(unit.names) > 1 and not self._shares.is_anchored(name, unit):
                rest = [other for other in unit.names if other != name and self._shares.is_anchored(other, unit)]
                if rest and not any(other in asked for other in rest):
                    self.retire([name])

    def _survey_into(self, surveys: dict[str, Survey], name: str, draft: ExportDraft) -> None:
        try:
            surveys[name] = self._survey(name)
        except BaseException as error:  # noqa: BLE001 - properties of user objects, or a thread that changes them
            _let_interrupts_pass(error)
            draft.refusals.append(Refusal((name,), f"{name} could not be read: {type(error).__name__}: {error}"))

    def _survey(self, name: str) -> Survey:
        return survey(self._namespace[name], self._namespace, self._references)

    def _add_relatives(self, surveys: dict[str, Survey], draft: ExportDraft) -> None:
        """Survey the shared names whose units touched what the surveyed names reach, until there are no more."""
        fresh = list(surveys)
        while fresh:
            reached = set().union(*(surveys[name].ids for name in fresh))
            units = [*self._shares.units_of(fresh), *self._shares.touching(reached)]
            found = chain.from_iterable(unit.names for unit in units)
            fresh = [name for name in dict.fromkeys(found) if name not in surveys and name in self._namespace]
            for name in fresh:
                self._survey_into(surveys, name, draft)
            fresh = [name for name in fresh if name in surveys]

    def _bound_together(self, wanted: set[str], groups: list[tuple[str, ...]]) -> set[str]:
        found = {name for group in groups if not wanted.isdisjoint(group) for name in group}
        return found | {
            name for unit in self._shares.units_of(found) for name in unit.names if self._shares.is_anchored(name, unit)
        }

    def _export_group(
        self, names: tuple[str, ...], surveys: dict[str, Survey], limit_bytes: int | None, draft: ExportDraft
    ) -> None:
        known = self._shares.whole(names)
        size_bytes = sum(surveys[name].size_bytes for name in names)
        if known is None and limit_bytes is not None and size_bytes > limit_bytes:
            draft.too_large.append(TooLarge(names, size_bytes))
            return
        try:
            most_bytes = limit_bytes or 0 if known is None else 0
            pickled = self._fit_to_leave(self._pickle(names, surveys, most_bytes=most_bytes), known, surveys)
        except OverLimit:
            draft.too_large.append(TooLarge(names, max(size_bytes, limit_bytes or 0)))
            return
        except BaseException as error:  # noqa: BLE001 - a value's own reduction may raise anything
            _let_interrupts_pass(error)
            self._export_without_refused(names, surveys, limit_bytes, draft, error)
            return
        if known is not None and known.fingerprint == pickled.fingerprint:
            draft.unchanged.extend(names)
        elif limit_bytes is not None and pickled.unit.size_bytes > limit_bytes:
            draft.too_large.append(TooLarge(names, pickled.unit.size_bytes))
            self._identities.sweep(pickled.tokens)
        else:
            draft.units.append(pickled.unit)
            # In the order it was pickled in, which is that of the unit it replaces.
            self._shares.record(pickled.unit.names, surveys, pickled.tokens, pickled.fingerprint)

    def _export_without_refused(
        self,
        names: tuple[str, ...],
        surveys: dict[str, Survey],
        limit_bytes: int | None,
        draft: ExportDraft,
        error: BaseException,
    ) -> None:
        refused = dict.fromkeys(names, error) if len(names) == 1 else self._refused(names, surveys)
        if not refused:
            refused = dict.fromkeys(names, error)
        for name, why in refused.items():
            told = isinstance(why, _HeldBack)
            reason = str(why) if told else diagnose(name, self._namespace[name], self._attempt, why)
            draft.refusals.append(Refusal((name,), reason, held=told))
        rest = [name for name in names if name not in refused]
        for group in components(rest, surveys):
            self._export_group(group, surveys, limit_bytes, draft)

    def _refused(self, names: tuple[str, ...], surveys: dict[str, Survey]) -> dict[str, BaseException]:
        refused: dict[str, BaseException] = {}
        for name in names:
            try:
                self._fit_to_leave(self._pickle((name,), surveys), None, surveys)
            except BaseException as error:  # noqa: BLE001 - a value's own reduction may raise anything
                _let_interrupts_pass(error)
                refused[name] = error
        return refused

    def _fit_to_leave(self, pickled: Pickled, known: Shared | None, surveys: dict[str, Survey]) -> Pickled:
        """Return a unit as it may leave, raise _HeldBack or NotData; the other side may have what it sent itself."""
        if known is not None and known.fingerprint == pickled.fingerprint:
            return pickled
        try:
            if self._why_not is not None and (reason := self._why_not(pickled.unit)):
                raise _HeldBack(reason)
            if self.sends_data_only:
                return replace(pickled, unit=self._packing.as_data(pickled.unit, surveys))
        except BaseException:
            self._identities.sweep(pickled.tokens)
            raise
        return pickled

    def _attempt(self, part: object) -> None:
        if self.sends_data_only:
            pack_data(part, self._namespace, self._references)
        else:
            pack(part, self._namespace, self._references, Memory())

    def _stays(self, value: object) -> bool:
        return self._references.refer(value) is not None

    def _pickle(
        self,
        names: tuple[str, ...],
        surveys: dict[str, Survey],
        digests: KnownDigests | None = None,
        most_bytes: int = 0,
    ) -> Pickled:
        known = self._shares.whole(names)
        ordered = names if known is None else known.names
        return self._packing.pickle(ordered, surveys, digests or KnownDigests(), most_bytes)

    def _differs(self, unit: Shared) -> bool:
        if not all(self._shares.is_anchored(name, unit) for name in unit.names):
            return False  # what is bound anew is noticed by that
        try:
            now = self._fingerprint(unit)
            # A figure's pickle is another one each time: what differs from itself tells nothing.
            return now != unit.fingerprint and now == self._fingerprint(unit)
        except BaseException as error:  # noqa: BLE001 - a value's own reduction, or a thread that changes it just now
            _let_interrupts_pass(error)
            return True

    def _fingerprint(self, unit: Shared) -> str:
        pickled = self._pickle(unit.names, {name: self._survey(name) for name in unit.names})
        self._identities.sweep(pickled.tokens)
        return pickled.fingerprint

    def _accept_unit(self, unit: ReceivedUnit) -> set[str]:
        found, tracked, numbers = self.rebuild(unit)
        values = dict(zip(unit.names, found.values(), strict=True))  # it may go by another name here than there
        tokens = array("Q", numbers)
        digests = KnownDigests()
        for buffer, digest in zip(unit.buffers, unit.digests, strict=False):
            digests.learn(address(memoryview(buffer)), memoryview(buffer).nbytes, digest)
        update = Update(tracked, tokens, self._identities, digests, stays=self._stays)
        updated = self._bind(update.apply(values))
        self._follow(update.replaced())
        places = [update.place_of(value) for value in tracked]
        for token, place in zip(tokens, places, strict=True):
            self._identities.bind(token, place)
        for value, place in zip(tracked, places, strict=True):
            if value is not place and has_finalizer(value):
                hush(value)
        # Held while the unit's former record is replaced, which lets go of the numbers only it mentions.
        self._identities.retain(tokens)
        self._record_accepted(tuple(values), tokens, digests)
        self._identities.release(tokens)
        return updated

    def _bind(self, values: dict[str, Any]) -> set[str]:
        """Bind names; return those that stayed bound to the same object."""
        same = set()
        for name, value in values.items():
            old = self._namespace.get(name, GONE)
            if old is value or (type(old) is type(value) and type(value) in SCALARS and old == value):
                same.add(name)
            else:
                self._namespace[name] = value
                hush_last(old)
        return same

    def _follow(self, replaced: dict[int, Any]) -> None:
        """Bind names outside the unit that are bound to an object it could not update to what stands for it now."""
        if not replaced:
            return
        for name, value in list(self._namespace.items()):
            new = replaced.get(id(value), value)
            if new is not value:
                self._namespace[name] = new
                self._shares.remove(name)

    def _record_accepted(self, names: tuple[str, ...], tokens: array[int], digests: KnownDigests) -> None:
        surveys = {name: self._survey(name) for name in names}
        self._shares.replace(names)
        try:
            pickled = self._pickle(names, surveys, digests)
        except BaseException as error:  # noqa: BLE001 - it came in but would not go out again: it is never "unchanged"
            _let_interrupts_pass(error)
            self._shares.record(names, surveys, tokens, None)
        else:
            self._shares.record(names, surveys, pickled.tokens, pickled.fingerprint)


def _let_interrupts_pass(error: BaseException) -> None:
    """Raise a KeyboardInterrupt again; SystemExit and panics of compiled libraries are failures like others."""
    if isinstance(error, KeyboardInterrupt):
        raise error


class _HeldBack(CannotTravel):
    """A unit could travel and must not."""
