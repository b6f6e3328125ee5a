"""One cell in the container: take what came with it, run it, send home what changed."""

from __future__ import annotations

import builtins
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import uuid4

from kernel_bridge.capture.analysis import MODULE_NAMES
from kernel_bridge.capture.finalizers import hush_last
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.randomness import RandomStates, module_of
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import Export, PackedUnit
from kernel_bridge.codecs.absent import installed_version
from kernel_bridge.codecs.loggers import staying_lines
from kernel_bridge.codecs.wire_units import BufferSender, Source, pack_units
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import (
    METADATA_KEY,
    RANDOM_NAME,
    RESULT_NAME,
    CellReply,
    CellRequest,
    FileRef,
    HandleHead,
)
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.agent.after_import import AfterImport
from remote_runtime.agent.aside import Aside
from remote_runtime.agent.beside import Beside
from remote_runtime.agent.files import WorkDirectory
from remote_runtime.agent.kernel_host import HostedKernel
from remote_runtime.agent.packages import NotebookFinder, link_layers
from remote_runtime.agent.pager import Pager

_HISTORY: Final = re.compile(r"_(i{0,3}|_{0,2}|i?\d+|dh|ih|oh|exit_code)\Z")
_MISSING: Final = object()
_EXCEPTION_NAME: Final = "_cellburst_exception"


@dataclass(slots=True)
class _Home:
    """What goes home, as it is collected."""

    units: list[PackedUnit] = field(default_factory=list)
    handles: dict[str, str] = field(default_factory=dict)  # name -> why it stays
    notices: list[str] = field(default_factory=list)


class CellRunner:
    """Runs cells in the kernel's namespace and keeps that namespace and the notebook's alike."""

    def __init__(
        self,
        kernel: HostedKernel,
        mirror: Mirror,
        references: ReferenceTable,
        pager: Pager,
        work: WorkDirectory,
        finder: NotebookFinder,
        source: Source,
        module_dir: Path,
    ) -> None:
        self._kernel = kernel
        self._namespace = kernel.namespace
        self._mirror = mirror
        self._references = references
        self._pager = pager
        self._work = work
        self._finder = finder
        self._source = source
        self._module_dir = module_dir
        self._stayed: dict[str, str] = {}  # name -> key of the handle it is known by
        self._random = RandomStates()
        self._imports = AfterImport()
        self._prepare_s = 0.0
        self.epoch = ""
        self.aside = Aside(self._namespace, mirror)
        self._remarks: list[str] = []  # to show under this cell
        self._beside = Beside(mirror)

    def prepare(self, request: CellRequest, header: dict[str, Any], inline: tuple[Buffer, ...]) -> None:
        """Bring the namespace up to date for a cell; raises CellburstError when a part cannot be brought home."""
        started_s = time.perf_counter()
        manifest = request.manifest
        self._pager.begin(header, manifest)
        self._references.release(request.release)
        self._mirror.sends_data_only = request.data_only
        self._change_hands(request)
        self._namespace.builtins.refresh(self._pager.names() & vars(builtins).keys())
        self._namespace.install_builtins()
        link_layers(request.layers)
        self.write_modules(request.modules, inline)
        self._finder.forget()
        self._work.begin(request, header, lambda ref: self._source.get(ref.data, inline) if ref.data else b"")
        with self._namespace.plain(), self._mirror.held():
            report = self._pager.take([to_wire(head) for head in request.units], inline)
        for failure in report.failures:
            reason = failure.reason + self._notebooks_version(failure.needs)
            # The cell may make what is lost again, or an `on_wake` function; the rest it may never touch.
            if failure.lost or set(request.needed).isdisjoint(failure.names):
                self._pager.refuse(failure.names, reason)
                continue
            raise CellburstError(f"{', '.join(failure.names)} could not be rebuilt in the container: {reason}.")
        if request.may_draw:
            self._set_random_states()
        if request.check_all:
            self._pager.restore_all()
        _import(request.imports)
        if request.check_all:
            self._namespace.look_through(unlisted=frozenset(request.unlisted))
        self._pager.paged.names.clear()
        self._prepare_s = time.perf_counter() - started_s

    async def run(self, code: str, content: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Execute the code; returns the content of the execute_reply and the seconds it took."""
        started_s = time.perf_counter()
        reply = await self._kernel.run_code(code, content)
        return reply, time.perf_counter() - started_s

    def collect(self, request: CellRequest, sender: BufferSender, run_s: float) -> CellReply:
        """Find what the cell changed and put it on its way home."""
        home = _Home(notices=self._remarks)
        self._remarks = []
        self.aside.forget(name for head in request.units for name in head.names)
        self.aside.forget(self._pager.paged.names)
        self._source.release()  # before anything is put on its way home: it may have the content of what came
        self._namespace.look_through(None)
        with self._namespace.plain():
            deleted = self._deleted()
            extra = self._bind_extras(request)
            try:
                self._export(request, extra, home)
            finally:
                for name in extra:
                    dict.pop(self._namespace, name, None)
            # Not before: what it was may have another name now. What shared something with it stays as exchanged.
            self._mirror.retire([*extra, *deleted])
        heads = self._pack(home, sender)
        result = next((head for head in heads if RESULT_NAME in head.names), None)
        home.handles = self._beside.untold(self._used(request)) | home.handles
        handles = tuple(self._keep(name, why, extra) for name, why in home.handles.items())
        return CellReply(
            epoch=self.epoch,
            units=heads,
            deleted=tuple(deleted),
            handles=handles,
            result="unit" if result else "handle" if RESULT_NAME in home.handles else "",
            exception=next((head for head in heads if _EXCEPTION_NAME in head.names), None),
            files=self._files(request, sender, home),
            paged=tuple(self._pager.paged.names),
            notices=tuple(home.notices),
            prepare_s=self._prepare_s,
            run_s=run_s,
            filename=self._kernel.filename,
            deferred_annotations=self._kernel.defers_annotations,
        )

    def _change_hands(self, request: CellRequest) -> None:
        """Let go of what the notebook has a newer value of; a notebook that knows nothing of us has the last word."""
        manifest = request.manifest
        if manifest.full:
            coming = (name for head in request.units for name in head.names)
            self._remarks += self.aside.hand_over(self.user_names(), (*manifest.available, *coming))
        self.aside.forget(manifest.gone)
        self._forget((*manifest.available, *manifest.gone))

    def _notebooks_version(self, module: str) -> str:
        """Say what of a module the notebook has, for a value that this side could not rebuild for want of it."""
        reply = self._pager.ask("version_request", {"module": module}) if module else None
        wanted = str(reply.content.get("requirement", "")) if reply is not None else ""
        if wanted == installed_version(module.partition(".")[0]).replace(" ", "=="):
            return ""
        return f'; the notebook has {wanted}: `.pip_install("{wanted}")` puts that into an image' if wanted else ""

    def _pack(self, home: _Home, sender: BufferSender) -> tuple[UnitHead, ...]:
        """Put units on their way; those that find none stay, and the notebook gets handles."""
        heads: list[UnitHead] = []
        for unit in home.units:
            try:
                heads += pack_units([unit], sender)
            except (CellburstError, OSError) as error:
                self._mirror.drop(unit.names)
                names = [name for name in unit.names if name != _EXCEPTION_NAME]
                home.handles |= dict.fromkeys(names, f"could not be sent: {error}")
        return tuple(heads)

    def _files(self, request: CellRequest, sender: BufferSender, home: _Home) -> tuple[FileRef, ...]:
        try:
            files, notices = self._work.changes(sender, request.writeback_limit_bytes)
        except (CellburstError, OSError) as error:
            home.notices.append(f"files the cell wrote could not be sent: {error}")
            return ()
        home.notices += notices
        return files

    def nothing_home(self, error: BaseException, run_s: float) -> CellReply:
        """Answer a cell whose changes could not be collected; the values stay here, and the next cell tries again."""
        self._mirror.drop(self._mirror.shared_names())
        notice = f"what the cell changed could not be brought home: {type(error).__name__} while it was collected"
        return CellReply(epoch=self.epoch, notices=(notice,), prepare_s=self._prepare_s, run_s=run_s)

    def exit_code(self) -> int:
        """Return what a process that the cell forked, and that came to the cell's end, exits with."""
        outcome = self._kernel.outcome
        error = outcome.error_in_exec if outcome is not None else None
        code = (error.code or 0) if isinstance(error, SystemExit) else int(error is not None)
        return code & 0xFF if isinstance(code, int) else 1

    def user_names(self) -> list[str]:
        """Return the names the user's code bound, in the order of their binding."""
        hidden = self._kernel.hidden_names
        bound = set() if self._kernel.underscore_is_mine else {"_"}
        # A copy, made in one step: threads that a cell left behind bind names meanwhile.
        return [
            name
            for name, value in dict.copy(self._namespace).items()
            if hidden.get(name, _MISSING) is not value
            and isinstance(name, str)
            and name not in MODULE_NAMES
            and (name in bound or not _HISTORY.match(name))
        ]

    def remote_only(self) -> list[str]:
        """Return the names whose value the notebook does not hold."""
        with self._namespace.plain():
            return [name for name in self.user_names() if not self._mirror.is_current(name)]

    def write_modules(self, modules: Iterable[FileRef], inline: tuple[Buffer, ...]) -> None:
        """Write local modules where they are imported from, and forget the ones that were imported before."""
        changed = set()
        for module in modules:
            target = self._module_dir / module.path
            if not target.resolve().is_relative_to(self._module_dir.resolve()) or module.data is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._source.get(module.data, inline))
            # A version of the same size, written in the same second, would be taken for the compiled one.
            Path(importlib.util.cache_from_source(str(target))).unlink(missing_ok=True)
            changed.add(module.path.split("/")[0].removesuffix(".py"))
        if changed:
            importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.split(".")[0] in changed] if changed else ():
            del sys.modules[name]

    def _forget(self, names: Iterable[str]) -> None:
        """Drop values that are out of date: the names are paged when they are touched."""
        names = list(names)
        with self._namespace.plain():
            self._mirror.retire(names)
        for name in names:
            hush_last(dict.pop(self._namespace, name, None))
            self._stayed.pop(name, None)
            self._beside.forget(name)

    def _deleted(self) -> list[str]:
        known = self._mirror.shared_names() | self._stayed.keys() | self._pager.dropped
        gone = [name for name in known if name not in self._namespace and not self._is_saved(name)]
        for name in gone:
            self._stayed.pop(name, None)
            self._beside.forget(name)
        return sorted(name for name in gone if name not in (RESULT_NAME, _EXCEPTION_NAME))

    def _is_saved(self, name: str) -> bool:
        return name in self._pager.names()

    def _bind_extras(self, request: CellRequest) -> list[str]:
        """Bind the last expression's value and the exception under names of ours: they may share objects."""
        outcome = self._kernel.outcome
        extra: dict[str, Any] = {}
        if outcome is not None:
            if request.want_result and outcome.result is not None:
                extra[RESULT_NAME] = outcome.result
            error = outcome.error_in_exec
            if error is not None:
                extra[_EXCEPTION_NAME] = error.with_traceback(None)
        if request.may_draw and (states := self._random.changed()):
            extra[RANDOM_NAME] = states
        for name, value in extra.items():
            dict.__setitem__(self._namespace, name, value)
        return list(extra)

    def _set_random_states(self) -> None:
        states = dict.pop(self._namespace, RANDOM_NAME, None)
        if states is not None:
            self._mirror.drop([RANDOM_NAME])
            for library in self._random.put(states):
                self._imports.wait(module_of(library), partial(self._random.put, {library: states[library]}))
        self._random.begin()

    def _export(self, request: CellRequest, extra: list[str], home: _Home) -> None:
        candidates = [*self._candidates(request), *extra]
        values = ((name, dict.get(self._namespace, name)) for name in candidates)
        home.notices += staying_lines(values, in_container=True)
        leave = set(request.leave)
        home.handles |= {name: "--leave" for name in candidates if name in leave}
        wanted = [name for name in candidates if name not in leave]
        if request.out is not None:
            kept = {name for name in wanted if name in request.out or self._is_module(name)}.union(extra)
            home.handles |= {
                name: "not in --out" for name in wanted if name not in kept and not self._mirror.is_current(name)
            }
            wanted = [name for name in wanted if name in kept]
        forced = set(request.out or ())
        self._sort(self._mirror.export([name for name in wanted if name in forced]), home)
        limited = [name for name in wanted if name not in forced]
        self._sort(self._mirror.export(limited, limit_bytes=request.writeback_limit_bytes), home)
        home.handles.pop(_EXCEPTION_NAME, None)

    def _candidates(self, request: CellRequest) -> list[str]:
        """Names the cell bound or may have changed in place."""
        reachable = {*request.may_change, *(name for head in request.units for name in head.names)}
        reachable.update(self._pager.paged.names)
        return [name for name in self.user_names() if self._may_differ(name, request.check_all or name in reachable)]

    def _may_differ(self, name: str, reachable: bool) -> bool:
        if self._mirror.is_current(name):
            return reachable
        key = self._stayed.get(name)
        return key is None or not self._references.holds(key, dict.get(self._namespace, name))

    def _is_module(self, name: str) -> bool:
        return isinstance(dict.get(self._namespace, name), ModuleType)

    def _sort(self, export: Export, home: _Home) -> None:
        home.units += export.units
        for large in export.too_large:
            home.handles |= dict.fromkeys(large.names, f"larger than the write-back limit ({large.size_bytes} bytes)")
        for refusal in export.refusals:
            home.handles |= dict.fromkeys(refusal.names, f"cannot travel: {refusal.reason}")

    def _keep(self, name: str, why: str, extra: list[str]) -> HandleHead:
        value = self._extra_value(name) if name in extra else dict.get(self._namespace, name)
        key = self._references.key_of(value) or self._stayed.get(name, "")
        if not self._references.holds(key, value):
            key = f"{self.epoch}-{uuid4().hex[:12]}"  # no number: a woken container would count anew
            self._references.keep(value, key, name=name, reason=why)
        if name not in extra:
            self._mirror.drop([name])
            self._stayed[name] = key
        info = self._references.kept()[key]
        return HandleHead(
            key=key,
            name=name,
            type=info.type,
            shape=info.shape or "",
            dtype=info.dtype or "",
            device=info.device or "",
            size_bytes=info.size_bytes,
            reason=why,
            beside=() if name in extra else self._beside.note(name, key, value, why),
        )

    def _used(self, request: CellRequest) -> dict[str, Any]:
        """Return the values that stayed and that the cell names."""
        used = {name: dict.get(self._namespace, name) for name in request.may_change if name in self._stayed}
        return {name: value for name, value in used.items() if self._references.holds(self._stayed[name], value)}

    def _extra_value(self, name: str) -> object:
        outcome = self._kernel.outcome
        return outcome.result if outcome is not None and name == RESULT_NAME else None


def _import(names: Iterable[str]) -> None:
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):  # a module's own code may raise anything; using it says what is missing
                importlib.import_module(name)


def reply_metadata(reply: CellReply) -> dict[str, Any]:
    """Return the metadata of the execute_reply."""
    return {METADATA_KEY: to_wire(reply)}


def enter(directory: str) -> None:
    """Make a directory the working directory and the place scripts are imported from."""
    os.chdir(directory)
    if "" not in sys.path:
        sys.path.insert(0, "")
