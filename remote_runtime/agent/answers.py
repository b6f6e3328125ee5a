"""What a kernel child is asked between cells: for values behind handles, files, its state, and to save it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import PackedUnit
from kernel_bridge.codecs.wire_units import BufferSender, pack_units
from kernel_bridge.errors import CannotTravel, CellburstError
from kernel_bridge.protocol.messages import STATE, Buffer, Message, new_header
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.agent.cell import CellRunner
from remote_runtime.agent.files import WorkDirectory
from remote_runtime.agent.hibernation import Hibernation
from remote_runtime.agent.kept import KeptTable
from remote_runtime.agent.namespace import Namespace

_FETCHED: Final = "_cellburst_fetched"


class Answers:
    """Those of one child. `sender_for` makes what holds the buffers of an answer, `send` takes the answer."""

    def __init__(
        self,
        namespace: Namespace,
        references: KeptTable,
        work: WorkDirectory,
        cells: CellRunner,
        hibernation: Hibernation,
        sender_for: Callable[[Message], BufferSender],
        send: Callable[[Message], object],
    ) -> None:
        self._namespace = namespace
        self._references = references
        self._work = work
        self._cells = cells
        self._hibernation = hibernation
        self._sender_for = sender_for
        self._send = send
        self._answers: Mapping[str, Callable[[Message], None]] = {
            "fetch_request": self._fetch,
            "get_file_request": self._get_file,
            "file_piece_request": self._file_piece,
            "state_request": self._state,
            "save_request": self._save,
            "rest_request": self._rest,
        }

    def give(self, message: Message, lock: AbstractContextManager[Any]) -> None:
        """Answer a message if it is one of these; `lock` is held while user objects are touched."""
        answer = self._answers.get(message.type)
        if answer is None:
            return
        try:
            with lock:
                answer(message)
        except BaseException as error:  # noqa: BLE001 - a value's own code may raise anything: the namespace must live on
            traceback.print_exc()
            self._reply(message, {"why": text_of(error), "failed": f"{type(error).__name__}: {text_of(error)}"})

    def _fetch(self, message: Message) -> None:
        sender = self._sender_for(message)
        try:
            head = pack_units([self._kept_unit(message.content)], sender)[0]
        except BaseException as error:  # noqa: BLE001 - the value's own reduction, or no place to put it
            self._reply(message, {"unit": None, "why": text_of(error)})
        else:
            self._reply(message, {"unit": to_wire(head), "why": ""}, tuple(sender.inline))

    def _kept_unit(self, asked: Mapping[str, Any]) -> PackedUnit:
        key, name = str(asked["key"]), str(asked.get("name", ""))
        self._references.replace_lost(key, name, str(asked.get("type", "")))
        value = self._references.resolve(key, name)
        # By value: a mirror of its own knows neither the handle nor what the notebook holds.
        scratch = Mirror(self._namespace, references=ReferenceTable(), why_not=self._references.why_not_home)
        scratch.sends_data_only = bool(asked.get("data_only"))
        dict.__setitem__(self._namespace, _FETCHED, value)
        try:
            with self._namespace.plain():
                export = scratch.export([_FETCHED])
        finally:
            dict.pop(self._namespace, _FETCHED, None)
        if export.refusals:
            raise CannotTravel(export.refusals[0].reason.replace(_FETCHED, name))
        return next(unit for unit in export.units if _FETCHED in unit.names)

    def _get_file(self, message: Message) -> None:
        path = str(message.content["path"])
        try:
            files = self._work.list_files(path)
        except (OSError, ValueError) as error:
            self._reply(message, {"files": [], "why": _why_no_file(path, error)})
        else:
            self._reply(message, {"files": to_wire(files), "why": ""})

    def _file_piece(self, message: Message) -> None:
        content, sender = message.content, self._sender_for(message)
        path = str(content["path"])
        try:
            piece = self._work.read_piece(path, int(content["offset"]), int(content["size_bytes"]))
            data = to_wire(sender.put(piece))
        except (OSError, ValueError, CellburstError) as error:
            self._reply(message, {"data": None, "why": _why_no_file(path, error)})
        else:
            self._reply(message, {"data": data, "why": ""}, tuple(sender.inline))

    def _state(self, message: Message) -> None:
        self._reply(message, self._hibernation.state_of(self._cells))

    def _rest(self, message: Message) -> None:
        self._reply(message, self._hibernation.rest())

    def _save(self, message: Message) -> None:
        self._reply(message, self._hibernation.save(self._cells))

    def _reply(self, message: Message, content: dict[str, Any], inline: tuple[Buffer, ...] = ()) -> None:
        header = new_header(message.type.removesuffix("_request") + "_reply", "cellburst")
        self._send(Message(STATE, header, message.header, {}, content, inline))


def text_of(error: BaseException) -> str:
    """Return an exception's message; empty where it cannot say one."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - its own __str__
        return ""


def _why_no_file(path: str, error: BaseException) -> str:
    why = getattr(error, "strerror", None)
    return f"{path}: {why}" if why else text_of(error)
