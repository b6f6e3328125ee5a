"""This kernel's tie to its sessions: the runtime, the sessions it has opened, their defaults, and how they end."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from jupyter_ext.arguments import CellOptions
from jupyter_ext.desk import Desk
from jupyter_ext.handles import HandleTable
from jupyter_ext.handover import hand_over, make_volumes, mounts, secret_names
from jupyter_ext.notebook import facts, python_version
from jupyter_ext.outputs import Outputs
from jupyter_ext.preferences import Preferences
from jupyter_ext.pump import Pump
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.status import StatusLine
from jupyter_ext.writeback import value_of
from kernel_bridge.capture.handle import HandleInfo
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.embedded import ensure_runtime, running_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.journal import Journal
from kernel_bridge.config import CODE, DATA, Address, ClientConfig
from kernel_bridge.errors import BadOption, CellburstError, NotFound, RemoteValueError
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.images import NOTEBOOK, ImageRecipe
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.resources import ANY, CPU
from kernel_bridge.protocol.sessions import SessionSpec
from kernel_bridge.protocol.wire import from_wire
from kernel_bridge.sdk.image import Image


class Sessions:
    """Everything this kernel has remotely. One for each shell that loaded the extension."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.preferences = Preferences()
        self.references = HandleTable(self.fetch)
        self.opened = 0  # sessions so far
        self._open: dict[str, RemoteSession] = {}
        self._desks: dict[str, Desk] = {}
        self._control_plane: ControlPlane | None = None
        self._journal: Journal | None = None
        atexit.register(self.goodbye)

    def __iter__(self) -> Iterator[RemoteSession]:
        return iter([session for session in self._open.values() if not session.closed])

    @cached_property
    def _environment(self) -> Mapping[str, str]:
        return self.config().environment

    def config(self) -> ClientConfig:
        """Read the environment and the saved connection anew; raises BadOption."""
        return ClientConfig.load()

    def control_plane(self) -> ControlPlane:
        """Return the runtime's control plane, starting this machine's own where none was chosen."""
        self.journal()
        address = self._address()
        if self._control_plane is None or self._control_plane.address != address:
            self._control_plane = ControlPlane(address)
        return self._control_plane

    def journal(self) -> Journal:
        """Return this kernel's log, open from the first time something is asked of a runtime."""
        if self._journal is None:
            self._journal = Journal(self.config())
            self._journal.open()
        return self._journal

    def running_control_plane(self) -> ControlPlane | None:
        """Return the runtime's control plane; None where this machine's own is meant and does not run."""
        config = self.config()
        return self.control_plane() if config.connected or running_runtime(config) is not None else None

    def spec(self, options: CellOptions) -> SessionSpec:
        """Return what a cell's line asks for, with this notebook's defaults; raises BadOption."""
        chosen = self.preferences
        asked = SessionSpec(
            notebook=facts(self.shell.user_ns, self._environment),
            image=self._image(options.image or chosen.image),
            gpu=options.gpu or chosen.gpu,
            volumes=mounts(options.volumes or chosen.volumes, self.shell.user_ns, options.model_cache),
            secrets=secret_names(options.secrets or chosen.secrets, self.shell.user_ns),
            cpu=options.cpu or chosen.cpu or 0.0,
            memory_bytes=options.memory_bytes or chosen.memory or 0,
            idle_after_s=options.idle_after_s or chosen.idle,
            network=options.network,
            name=options.session,
            provider=options.provider,
        )
        return self._with_a_card_at_hand(asked) if asked.gpu == ANY else asked

    def known(self, spec: SessionSpec) -> RemoteSession | None:
        """Return the session of this spec if this kernel has opened it."""
        found = self._open.get(_key(spec))
        if found is None or found.closed:
            return None
        found.mirror.takes_data_only = self.takes_data_only
        return found

    def open(self, spec: SessionSpec) -> RemoteSession:
        """Return the session of this spec, opened where needed; nothing starts. Raises NoCapacity or NotFound."""
        found = self.known(spec)
        if found is not None:
            self._open[_key(spec)] = self._open.pop(_key(spec))  # the one used last comes last
            return found
        control_plane = self.control_plane()
        notices = hand_over(control_plane, spec.secrets, self.config().environment if spec.secrets else {})
        make_volumes(control_plane, spec.volumes, self.shell.user_ns)
        info = control_plane.open_session(spec)
        channel = Channel(control_plane, info.id, revive=self._revive).start()
        self.opened += 1
        made = RemoteSession(info, channel, self.shell.user_ns, self.references, control_plane)
        made.notices += notices
        made.mirror.takes_data_only = self.takes_data_only
        self._open[_key(spec)] = made
        self._desks.pop(info.id, None)  # one of before answers where another notebook has taken over
        return made

    def pump(self, session: RemoteSession, status: StatusLine, outputs: Outputs) -> Pump:
        """Return what waits on a session for one magic."""
        return Pump(self.shell, session, self.desk(session), status, outputs)

    def desk(self, session: RemoteSession) -> Desk:
        """Return what answers a session's container."""
        return self._desks.setdefault(session.info.id, Desk(session))

    def after_cell(self, _result: object = None) -> None:
        """Show late output and answer requests of remote threads: between the notebook's cells."""
        for session in self:
            with suppress(CellburstError), session.alone():  # the next cell on this session meets it, and says so
                session.mirror.stale()  # values that no name is bound to any more are let go of
                if session.channel.events.empty():
                    continue
                status = StatusLine(self.shell, enabled=False)
                self.pump(session, status, Outputs(self.shell, status)).drain()

    def fetch(self, info: HandleInfo) -> Any:
        """Bring a handle's value home and return it; raises RemoteValueError when it is lost."""
        status = StatusLine(self.shell, clearable=False)
        try:
            session, head, buffers = self.fetch_unit(info, data_only=self.takes_data_only)
            session.watch(status.moved)
            value = value_of(session, head, buffers)
            session.buffers().release()
            return value
        finally:
            status.remove()

    def fetch_unit(
        self, info: HandleInfo, *, data_only: bool = False
    ) -> tuple[RemoteSession, UnitHead, tuple[Buffer, ...]]:
        """Have a handle's value pickled where it is; return its session, where its bytes are, and those that came."""
        session = self._of_handle(info)
        status = StatusLine(self.shell, clearable=False)
        pump = self.pump(session, status, Outputs(self.shell, status))
        pump.wait_ready()
        try:
            asked = {"key": info.key, "name": info.name, "type": info.type, "data_only": data_only}
            asked["shared_arena"] = session.same_host
            reply = pump.ask("fetch_request", asked)
        except NotFound as error:
            raise RemoteValueError(f"{info.name} cannot be brought home: {error}") from None
        finally:
            status.remove()
        return session, from_wire(UnitHead, reply.content["unit"]), reply.buffers

    def by_id(self, session_id: str) -> RemoteSession | None:
        """Return a session of this kernel by its id."""
        return next((session for session in self if session.info.id == session_id), None)

    def forget(self, session: RemoteSession) -> None:
        """Let go of a session that is over."""
        session.close()
        self._open = {key: kept for key, kept in self._open.items() if kept is not session}
        self._desks.pop(session.info.id, None)

    def discard(self, session: RemoteSession) -> None:
        """End a session this notebook has just opened and whose container never came, unless it is shared by a name."""
        if session.used or session.info.spec.name:
            return
        with suppress(CellburstError):
            session.control_plane.reset_session(session.info.id)
        self.forget(session)
        self.opened -= 1

    @property
    def takes_data_only(self) -> bool:
        """Tell whether what comes home may be plain data alone: as `%gpu_config trust` says, else as connected."""
        chosen = self.preferences.trust
        return (self._connection_trust if chosen == "auto" else chosen) == DATA

    @cached_property
    def _connection_trust(self) -> str:
        return self.config().trust

    def connect(self, url: str, token: str, trust: str = CODE) -> ControlPlane:
        """Use another runtime from now on, and remember it; raises what it refuses with. Empty: this machine's own."""
        config = self.config()
        if url:
            with ControlPlane(Address(url, token)) as asked:
                asked.runtime()
            config.save_connection(url, token, trust)
        else:
            config.forget_connection()
        self.leave()
        self.__dict__.pop("_connection_trust", None)
        return self.control_plane()

    def leave(self) -> None:
        """Leave all sessions; what runs there goes on until it idles away."""
        for session in self:
            self.forget(session)
        if self._control_plane is not None:
            self._control_plane.close()
        self._control_plane = None

    def goodbye(self) -> None:
        """Say to every session that this notebook ends: nobody will come back for what runs."""
        for session in self:
            session.channel.goodbye()
        self._open.clear()

    def close(self) -> None:
        """Leave everything, when the extension is unloaded."""
        atexit.unregister(self.goodbye)
        self.leave()
        if self._journal is not None:
            self._journal.close()

    def _address(self) -> Address:
        return ensure_runtime(self.config(), say=self._say)

    def _revive(self) -> Address:
        """Start this machine's own runtime again; on the channel's thread, which prints nothing."""
        return ensure_runtime(self.config())

    def _with_a_card_at_hand(self, asked: SessionSpec) -> SessionSpec:
        """Where any card will do, the one of the session used last does: a bare `%%gpu` stays where its names are."""
        for session in reversed(list(self)):
            spec = replace(session.info.spec, notebook=asked.notebook, idle_after_s=asked.idle_after_s)
            if spec.gpu != CPU and replace(spec, gpu=ANY) == asked:
                return replace(asked, gpu=spec.gpu)
        return asked

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr)  # noqa: T201 - under the cell

    def _of_handle(self, info: HandleInfo) -> RemoteSession:
        session = self.by_id(info.session)
        if session is None:
            raise RemoteValueError(f"{info.name} is lost: its session is over.")
        return session

    def _image(self, expression: str) -> ImageRecipe:
        if not expression:
            return ImageRecipe(NOTEBOOK, python_version())
        try:
            found = eval(expression, self.shell.user_global_ns, self.shell.user_ns)  # noqa: S307 - the user's own line
        except Exception as error:  # noqa: BLE001 - any expression may raise anything
            raise BadOption(f"`--image {expression}`: {type(error).__name__}: {str(error).rstrip('.')}.") from None
        if not isinstance(found, Image):
            kind = type(found).__name__
            raise BadOption(
                f"`--image {expression}` is of type {kind}: write for example `cellburst.Image.debian_slim()`."
            )
        return found.recipe


@lru_cache(maxsize=64)
def _key(spec: SessionSpec) -> str:
    return spec.key
