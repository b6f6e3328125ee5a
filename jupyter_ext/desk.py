"""Answers what the container asks for while a cell runs: names, files and packages of the notebook."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from jupyter_ext import sources
from jupyter_ext.files import LocalFile
from jupyter_ext.installed import catalogue
from jupyter_ext.local_files import local_module_root
from jupyter_ext.notebook import is_history_name
from jupyter_ext.provisions import install, provide, why_not
from jupyter_ext.remote_session import RemoteSession
from kernel_bridge.capture.credentials import held_back
from kernel_bridge.capture.units import Refusal
from kernel_bridge.codecs.wire_units import BufferSender, pack_units
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.messages import STATE, Message, new_header
from kernel_bridge.protocol.wire import to_wire

_REQUEST: Final = re.compile(r"_request\Z")
Answer = dict[str, Any]


class Desk:
    """Serves one session. It runs on the main thread, so user objects are pickled there only."""

    def __init__(self, session: RemoteSession) -> None:
        self._session = session
        self.files: list[str] = []  # served during the running cell
        self.shipped_bytes = 0
        self.allowed: frozenset[str] = frozenset()  # `--in`: these travel whatever they look like
        self._answers: dict[str, Callable[[dict[str, Any], BufferSender], Answer]] = {
            "page_request": self._page,
            "file_request": self._file,
            "list_request": self._list,
            "package_request": self._package,
            "version_request": _version,
            "source_request": _source,
        }

    def begin(self, allowed: frozenset[str]) -> None:
        """Start counting for a new cell."""
        self.files, self.shipped_bytes, self.allowed = [], 0, allowed
        self._session.allowed = allowed

    def serve(self, message: Message) -> bool:
        """Answer a request; False when it is none of ours. Whatever fails is told to the one who asked."""
        answer = self._answers.get(message.type)
        if answer is None:
            return False
        sender = self._session.sender()
        try:
            content = answer(message.content, sender)
        except Exception as error:  # noqa: BLE001 - a cell waits for this answer
            sender = self._session.sender()
            content = _refusal(message, f"{type(error).__name__}: {error}")
        header = new_header(_REQUEST.sub("_reply", message.type), self._session.info.id)
        self._session.channel.send(Message(STATE, header, message.header, {}, content, tuple(sender.inline)))
        return True

    def _page(self, content: dict[str, Any], sender: BufferSender) -> Answer:
        session = self._session
        units: list[UnitHead] = []
        missing: list[str] = []
        refused: dict[str, str] = {}
        for name in map(str, content.get("names", ())):
            if name not in session.namespace:
                missing.append(name)
                continue
            why = self._credential(name)
            if why:
                refused[name] = why
                continue
            exported = _export_anew(session, name)
            refused |= {bad: _told(bad, each) for each in exported.refusals for bad in each.names}
            heads = pack_units(exported.units, sender)
            units += heads
            session.manifest.delivered(each for head in heads for each in head.names)
            self.shipped_bytes += sum(map(_size, heads))
        return {"units": to_wire(units), "missing": missing, "refused": refused}

    def _credential(self, name: str) -> str:
        if name in self.allowed or is_history_name(name):
            return ""
        looks = held_back({name: self._session.namespace[name]}).get(name)
        return f"{name} looks like {looks} and was not sent: use `--secret NAME` or `--in {name}`." if looks else ""

    def _file(self, content: dict[str, Any], sender: BufferSender) -> Answer:
        session = self._session
        file, why = session.local_files.find(str(content.get("path", "")))
        if file is None:
            return {"file": None, "why": why}
        found = [session.local_files.find(str(path))[0] for path in content.get("more", ())]
        refs = [self._with_content(each, sender) for each in (file, *found) if each is not None]
        return {"file": to_wire(refs[0]), "more": to_wire(refs[1:]), "why": ""}

    def _with_content(self, file: LocalFile, sender: BufferSender) -> FileRef:
        session = self._session
        data = sender.put(session.local_files.read(file), file.digest)
        session.files.sent(session.local_files, file.path, file.digest)
        self.files.append(file.path)
        self.shipped_bytes += file.size_bytes
        return replace(file.ref, data=data)

    def _list(self, content: dict[str, Any], _sender: BufferSender) -> Answer:
        session, path = self._session, str(content.get("path", ""))
        name, tree = str(content.get("name", "")), bool(content.get("tree"))
        if tree:
            found = [each for each in session.local_files.list_tree(path) if not session.files.is_shown(each.path)]
        else:
            found = [session.local_files.list_folder(path, name)]
        for folder in found:
            session.files.told(session.local_files, folder, shown=tree or not name)
        return {"folders": to_wire(found)}

    def _package(self, content: dict[str, Any], sender: BufferSender) -> Answer:
        session, module = self._session, str(content.get("module", ""))
        known = set(session.layers)
        if content.get("requirements"):
            install(session, content["requirements"])
            return {"layers": [layer for layer in session.layers if layer not in known], "modules": [], "why": ""}
        why = why_not(session, module)
        files = () if why else provide(session, [module], on_demand=True)
        refs = [
            FileRef(path=ref.path, size_bytes=ref.size_bytes, digest=ref.digest, data=sender.put(data, ref.digest))
            for ref, data in files
        ]
        layers = [layer for layer in session.layers if layer not in known]
        return {"layers": layers, "modules": to_wire(refs), "why": why}


def _source(content: dict[str, Any], sender: BufferSender) -> Answer:
    """Return the text and number of one of the notebook's cells."""
    del sender
    text, number = sources.source_of(str(content.get("name", "")))
    return {"text": text, "number": number}


def _version(content: dict[str, Any], sender: BufferSender) -> Answer:
    del sender
    module = str(content.get("module", ""))
    owners = catalogue().owners(module, local_module_root(module.partition(".")[0]))
    return {"requirement": next((owner.requirement for owner in owners), "")}


def _told(name: str, refusal: Refusal) -> str:
    if refusal.held:
        return f"{refusal.reason}; {name} was not sent: use `--secret NAME` or `--in {name}`."
    return f"{name} cannot be sent: {refusal.reason}."


def _export_anew(session: RemoteSession, name: str) -> Any:
    """Export a name the container lacks, even where we thought it holds it."""
    exported = session.mirror.export([name])
    if name in exported.unchanged:
        session.mirror.drop([name])
        exported = session.mirror.export([name])
    return exported


def _refusal(message: Message, why: str) -> Answer:
    if message.type == "page_request":
        return {"units": [], "missing": [], "refused": {str(name): why for name in message.content.get("names", ())}}
    return {"file": None, "layers": [], "modules": [], "why": why}


def _size(head: UnitHead) -> int:
    return head.pickle.size_bytes + sum(buffer.size_bytes for buffer in head.buffers)
