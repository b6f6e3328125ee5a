"""One `%%gpu` cell, told in nine steps. Read this first."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any, Final
from uuid import uuid4

from jupyter_ext import moves, plan, shipment, sources, writeback
from jupyter_ext.arguments import CellOptions
from jupyter_ext.failures import interrupted, one_line, remote_exception, rendered
from jupyter_ext.notebook import cell_number, directory, may_ask, parent_header
from jupyter_ext.outputs import Outputs
from jupyter_ext.prefetch import CapturedCell, capture
from jupyter_ext.provisions import provide
from jupyter_ext.pump import Pump
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.session import Sessions
from jupyter_ext.skew import skew
from jupyter_ext.status import Footer, StatusLine
from jupyter_ext.timing import Timing
from kernel_bridge import errors
from kernel_bridge.codecs.loggers import staying_lines
from kernel_bridge.errors import CellburstError, SessionLost
from kernel_bridge.logs import bound, bound_id
from kernel_bridge.protocol.cells import METADATA_KEY, CellReply
from kernel_bridge.protocol.messages import SHELL, Message, new_header
from kernel_bridge.protocol.money import cost_microusd
from kernel_bridge.protocol.wire import from_wire, to_wire

log = logging.getLogger(__name__)

_AGENT: Final = "remote_runtime/agent/"  # frames of the agent's own files say nothing to the user
_SHOWN: Final = "NoneType"  # the "error" of a cell that ended well, and whose value failed to be shown
_ATTEMPTS: Final = 3  # a container may idle away, or lose its state, just before the cell reaches it


def run_cell(sessions: Sessions, options: CellOptions, code: str, *, line: bool = False) -> Any:
    """Run a cell (1) that has been parsed into `options`; returns the value of a `%gpu` line, None for a cell.

    Raises what the cell raised, and CellburstError when it could not run.
    """
    timing = Timing()
    cell = capture(sessions.shell, code, options)  # 2 capture: what it reads; nothing is started or sent yet
    spec = sessions.spec(options)
    if options.dry_run:
        return plan.show(sessions, cell, options, spec)
    session = sessions.open(spec)  # 4 schedule: the session is found, or a card is placed
    with session.alone():
        run = _CellRun(sessions, session, options, line=line, timing=timing)
        try:
            reply, sent = run.deliver(cell)  # 3 ship, 5 build, 6 run, 7 stream: output appears under the cell
        except BaseException as error:
            session.forget()  # what arrived of it is unknown: send everything anew
            if run.opened_it and isinstance(error, CellburstError):
                sessions.discard(session)
            if isinstance(error, KeyboardInterrupt):
                raise interrupted() from None
            raise
        finally:
            run.status.remove()
        # 8 write back
        sources.remember(sessions.shell, run.reply, cell.code)
        home = writeback.bring_home(session, run.reply, reply.buffers, sent.before, cell.modules)
        run.status.remove()
        run.show_footer(sent, home)  # 9 idle: from here on the container waits for its next cell, or for its end
        return run.outcome(reply, home)


class _CellRun:
    """One cell's way to its container and back."""

    def __init__(
        self, sessions: Sessions, session: RemoteSession, options: CellOptions, *, line: bool, timing: Timing
    ) -> None:
        self.shell = sessions.shell
        self.sessions = sessions
        self.session = session
        self.options = options
        self.line = line
        self.reply = CellReply(epoch="")
        self.status = StatusLine(self.shell, enabled=not options.quiet, clearable=not line)
        self._desk = sessions.desk(session)
        self._desk.begin(frozenset(options.names_in))
        outputs = Outputs(self.shell, self.status, show_result=not line)
        self._pump: Pump = sessions.pump(session, self.status, outputs)
        self.opened_it = session.info.new and not session.used
        self._parent = parent_header(self.shell)
        self._timing = timing
        self._moving: dict[str, moves.Moving] = {}
        self._introduction: list[str] = []
        self._notices, session.notices = session.notices, []
        session.watch(self.status.moved)

    def deliver(self, cell: CapturedCell) -> tuple[Message, shipment.Shipment]:
        """Ship the cell to a container that answers, and wait for its reply."""
        self._moving = moves.fetch_foreign(self.sessions, self.session, cell)
        self._notices += [each.notice for each in self._moving.values()]
        for attempt in range(_ATTEMPTS):
            with bound(cell_id=_new_id(self.session, self._parent), session_id=self.session.info.id):
                if done := self._deliver_once(cell, attempt):
                    return done
        raise SessionLost("The container lost its state again and again; `%gpu_reset` starts a fresh one.")

    def show_footer(self, sent: shipment.Shipment, home: writeback.Homecoming) -> None:
        """Say what the cell was, as the last display; with `--quiet` only what the user must know."""
        notices = [*self._notices, *self.session.notices, *home.notices]
        self.session.notices = []
        if self.options.quiet:
            for notice in notices:
                print(notice, file=sys.stderr)  # noqa: T201 - under the cell
            return
        info, timing = self.session.info, self._timing
        before_s, waited = timing.before_s(self.reply), timing.waited_for_container
        Footer(
            card=info.card,
            card_count=info.card_count,
            simulated=info.simulated,
            run_s=timing.run_s(self.reply),
            cold_s=before_s if waited else 0.0,
            shipping_s=0.0 if waited else before_s,
            returning_s=timing.after_s(self.reply),
            cost_microusd=cost_microusd(info.rate_microusd_per_h, timing.charged_s(info)),
            session=info.id,
            container=self.session.stream,
            isolation=info.isolation,
            shipped_bytes=sent.size_bytes + self._desk.shipped_bytes,
            returned_bytes=home.returned_bytes,
            paged=self.reply.paged,
            files_in=(*sent.files, *self._desk.files),
            files_out=tuple(home.files),
            woke="waking" in self._pump.phases,
            new_session=self.opened_it,
            notices=(*self._introduction, *notices),
        ).show(self.shell)

    def outcome(self, reply: Message, home: writeback.Homecoming) -> Any:
        """Return the value of a line, keep that of a cell as `Out[n]`; raise what the cell raised."""
        content = reply.content
        if content.get("ename") == _SHOWN:
            self.shell._last_traceback_during_displayhook = True  # ipykernel fails the cell here, too
        elif content.get("status") != "ok":
            raise self._failure(content, home.exception)
        if self.line:
            return home.value
        if home.has_value:
            writeback.keep_output(self.shell, home.value)
        return None

    def _deliver_once(self, cell: CapturedCell, attempt: int) -> tuple[Message, shipment.Shipment] | None:
        """Ship and run the cell; None when it was not run and can be tried again."""
        sent = self._ship(cell)
        message = self._request(cell.code, sent)
        self._timing.sent()
        log.info("cell sent", extra={"fields": {"bytes": sent.size_bytes, "units": len(sent.request.units)}})
        try:
            answer = self._pump.run(message)
        except SessionLost as error:
            log.warning("cell lost: %s", error)
            if self._pump.cell_began or attempt + 1 == _ATTEMPTS:
                raise
            self.session.forget()
            return None
        self._timing.answered()
        log.info("cell answered: %s", answer.content.get("status"))
        self.reply = from_wire(CellReply, answer.metadata.get(METADATA_KEY, {"epoch": ""}))
        other = self.session.enter_epoch(self.reply.epoch)
        if not self.reply.state_lost:
            return answer, sent
        if not other:
            self.session.forget()
        return None

    def _ship(self, cell: CapturedCell) -> shipment.Shipment:
        session = self.session
        session.use_folder(directory())
        exported = shipment.export(session, cell)
        values = ((name, session.namespace.get(name)) for name in cell.names)
        self._notices += staying_lines(values, in_container=False)
        epoch = session.epoch
        self._wait_ready()
        modules = provide(session, cell.modules | moves.modules_of(self._moving), say=self.status.say)
        if epoch and session.epoch != epoch:  # another namespace answers: it holds nothing of ours
            exported = shipment.export(session, cell)
        terms = shipment.CellTerms(
            writeback_limit_bytes=self.sessions.preferences.writeback_limit or session.writeback_limit_bytes,
            timeout_s=self.sessions.preferences.timeout,
            number=cell_number(self.shell),
            deferred_annotations=sources.defers_annotations(self.shell),
        )
        moved = partial(moves.hand_on, session, self._moving)
        return shipment.pack(session, cell, exported, self.options, terms, modules, moved)

    def _wait_ready(self) -> None:
        was_up = self.session.up
        self._pump.wait_ready()
        self.session.used, fresh = True, not self.session.used
        if was_up and not self._pump.phases:
            return
        self._timing.waited_for_container = True
        if self.opened_it and fresh:
            self._introduction = [_introduction(self.session, first=self.sessions.opened <= 1)]
            self._notices += skew(self.session.packages)

    def _request(self, code: str, sent: shipment.Shipment) -> Message:
        header = new_header("execute_request", self.session.info.id, msg_id=bound_id("cell_id"))
        self.session.remember_cell(header["msg_id"], self._parent)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": may_ask(self.shell),
            "stop_on_error": True,
        }
        metadata = {METADATA_KEY: to_wire(sent.request)}
        return Message(SHELL, header, {}, metadata, content, sent.buffers)

    def _failure(self, content: dict[str, Any], travelled: BaseException | None) -> BaseException:
        ename, evalue = str(content.get("ename") or "SessionLost"), str(content.get("evalue", ""))
        traceback = [str(part) for part in content.get("traceback", ()) if _AGENT not in str(part)]
        ours = getattr(errors, ename, None)
        if isinstance(ours, type) and issubclass(ours, CellburstError) and type(travelled) is not ours:
            if travelled is None:
                self.session.forget()  # it did not run, or its process ended: what arrived is unknown
            error = one_line(ours(evalue))
            return rendered(error, [*traceback[:-1], *error._render_traceback_()])  # type: ignore[attr-defined]
        return remote_exception(ename, evalue, traceback, travelled)


def _new_id(session: RemoteSession, parent: dict[str, Any]) -> str:
    """Return the id of a cell, in every process: the local cell's own where that is not taken."""
    own_id = str(parent.get("msg_id", "")) or uuid4().hex
    # By the second `%gpu` of one local cell, or a first attempt; of a loop's many the oldest are forgotten.
    taken = session.knows_cell(own_id) or session.last_cell.startswith(f"{own_id}_")
    return f"{own_id}_{uuid4().hex[:12]}" if taken else own_id


def _introduction(session: RemoteSession, *, first: bool) -> str:
    """Say where a new session runs, and that it is another one."""
    info = session.info
    place = f"on {info.place}" if info.place else ""
    parts = [info.spec.image.label, place, info.isolation]
    what = "session" if first else "another session (card, image, volumes, secrets or name differ from the one before)"
    return f"{what} {info.id}: {', '.join(part for part in parts if part)}"
