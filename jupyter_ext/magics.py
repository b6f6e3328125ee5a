"""The magics: `%%gpu` and its companions. They read the line and call the sessions, nothing else."""

from __future__ import annotations

import getpass
import time
from contextlib import suppress
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from jupyter_ext import arrivals, reports
from jupyter_ext.arguments import HELP, parse_cell, parse_line
from jupyter_ext.cell_run import run_cell
from jupyter_ext.errors_shown import shown_in_one_line
from jupyter_ext.log_view import HELP as LOGS_HELP
from jupyter_ext.log_view import log_lines, meant, parse_logs
from jupyter_ext.outputs import Outputs
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.session import Sessions
from jupyter_ext.stake import AtStake, read_stake
from jupyter_ext.status import StatusLine
from jupyter_ext.words import split_words
from kernel_bridge.client.session_log import session_log
from kernel_bridge.config import CODE, check_trust, check_url
from kernel_bridge.errors import BadOption, CellburstError, Conflict, NotFound
from kernel_bridge.protocol.resources import is_gpu_spec, parse_duration


@magics_class
class GpuMagics(Magics):
    """The magics of one shell."""

    def __init__(self, shell: Any, sessions: Sessions) -> None:
        super().__init__(shell)
        self.sessions = sessions

    @no_var_expand
    @line_cell_magic
    def gpu(self, line: str, cell: str | None = None) -> Any:  # noqa: D102 - its help is made from its arguments
        with shown_in_one_line():
            if cell is None:
                options, expression = parse_line(line)
                self._check_is_no_card(expression)
                return run_cell(self.sessions, options, expression, line=True)
            return run_cell(self.sessions, parse_cell(line), cell)

    gpu.__doc__ = HELP

    @line_magic
    def gpu_status(self, line: str) -> None:
        """Say which runtime is used, what it has, and how this notebook's sessions stand."""
        with shown_in_one_line():
            _no_arguments("gpu_status", line)
            control_plane = self.sessions.running_control_plane()
            if control_plane is None:
                _say(reports.no_runtime_line(self.sessions))
                return
            lines = reports.runtime_lines(control_plane.runtime(), str(control_plane.address))
            for session in self.sessions:
                lines += self._standing(session)
                lines += reports.at_stake_lines(self._at_stake(session))
            _say(*lines)

    @line_magic
    def gpu_stop(self, line: str) -> None:
        """Save the state of this notebook's sessions (or of the one named) and let their containers go: billing stops.

        The next `%%gpu` cell wakes the session where it was.
        """
        with shown_in_one_line():
            chosen = self._chosen(line)
            if self.sessions.running_control_plane() is None:
                _say(reports.no_runtime_line(self.sessions))
                return
            for session in chosen:
                self._drain(session)
                _say(*reports.at_stake_lines(self._at_stake(session)))  # before it is lost
                session.info = session.control_plane.stop_session(session.info.id)
                self._drain(session)
                session.told_lost = session.info.lost
                _say(*reports.stopped_lines(session.info, self.sessions.references.alive(session.info.id)))
                session.note_lost()

    @line_magic
    def gpu_reset(self, line: str) -> None:
        """End this notebook's sessions (or the one named) and discard their state; what is lost is named."""
        with shown_in_one_line():
            for session in self._chosen(line):
                self.sessions.control_plane()  # a runtime that was stopped is started: its saved state is what goes
                lost = self._remote_only(session)
                _say(reports.discarded_line(session, lost))  # before it is
                session.control_plane.reset_session(session.info.id)
                self.sessions.forget(session)

    @line_magic
    def gpu_get(self, line: str) -> None:
        """Bring a file of the session's folder here, or all of a folder: `%gpu_get results/model.bin`."""
        with shown_in_one_line():
            words = split_words(line)
            if len(words) != 1:
                raise UsageError("Write the path of one remote file: `%gpu_get results/model.bin`.")
            session = self._only_session()
            pump = self._pump(session)
            pump.wait_ready()
            _say(*arrivals.get(session, pump, words[0]))

    @line_magic
    def gpu_connect(self, line: str) -> None:
        """Use the runtime at a URL; the token is asked for. `%gpu_connect local`: this machine's own again.

        `%gpu_connect URL trust=data`: nothing that comes home from it may run code here.
        """
        with shown_in_one_line():
            words = split_words(line)
            trust = check_trust(words.pop()[len("trust=") :]) if words[1:] and words[-1].startswith("trust=") else CODE
            if len(words) != 1:
                raise UsageError(
                    "Write the runtime's address, without the token: `%gpu_connect https://gpu-host:8443`."
                )
            url = "" if words[0] == "local" else check_url(words[0])
            control_plane = self.sessions.connect(url, _ask_token(url) if url else "", trust)
            _say(*reports.runtime_lines(control_plane.runtime(), str(control_plane.address)))

    @line_magic
    def gpu_config(self, line: str) -> None:
        """Show or set this notebook's defaults: `%gpu_config gpu=A100 idle=10m`; `simulate=A100:1` declares a card."""
        with shown_in_one_line():
            words = split_words(line)
            for word in words:
                key, equals, value = word.partition("=")
                if not equals:
                    raise BadOption(f"`{word}`: write `{word}=VALUE`, or `%gpu_config` alone for the table.")
                self._configure(key, value.strip("'\""))
            said = {word.partition("=")[0] for word in words}
            rows = [row for row in self.sessions.preferences.table() if not words or row[0] in said]
            width = max((len(f"{key} = {value}") for key, value, _ in rows), default=0)
            _say(*(f"{f'{key} = {value}':<{width}}  {meaning}" for key, value, meaning in rows))

    @line_magic
    def gpu_keep_warm(self, line: str) -> None:
        """Keep this notebook's containers, however idle: `%gpu_keep_warm 2h`; `off` lets them idle again."""
        with shown_in_one_line():
            text = line.strip()
            if not text:
                raise UsageError("Write for how long: `%gpu_keep_warm 2h`, or `%gpu_keep_warm off`.")
            seconds = None if text == "off" else parse_duration(text)
            for session in self._chosen(""):
                self.sessions.control_plane()
                until_s = None if seconds is None else time.time() + seconds
                session.info = session.control_plane.pin_session(session.info.id, until_s)
                off = f"{session.info.id}: idles away as usual"
                _say(off if seconds is None else reports.keep_warm_line(session.info, seconds))

    @line_magic
    def gpu_logs(self, line: str) -> None:  # noqa: D102 - its help is made from its arguments
        with shown_in_one_line():
            asked = parse_logs(line)
            chosen = self._chosen(asked.session)
            if self.sessions.running_control_plane() is None:
                _say(reports.no_runtime_line(self.sessions))
                return
            folder = self.sessions.journal().folder
            for session, cell_id in meant(asked, chosen):
                found = session_log(
                    self.sessions.control_plane(),
                    folder,
                    session.info.id,
                    cell_id=cell_id,
                    level=asked.level,
                    lines=asked.lines,
                )
                _say(*log_lines(session.info.id, cell_id, found))

    gpu_logs.__doc__ = LOGS_HELP

    def _check_is_no_card(self, expression: str) -> None:
        """Refuse `%gpu A100`, which would look for a variable of that name."""
        if is_gpu_spec(expression) and expression not in self.sessions.shell.user_ns:
            raise UsageError(f"`{expression}` is a card: write what to run after it, `%gpu {expression} f(x)`.")

    def _configure(self, key: str, value: str) -> None:
        if key == "simulate":
            self.sessions.control_plane().simulate(value)
            _say(f"simulated {value}: cells run on the CPU and every place that shows the card says so")
        else:
            self.sessions.preferences = self.sessions.preferences.change(key, value)
            for session in self.sessions:
                session.mirror.takes_data_only = self.sessions.takes_data_only

    def _chosen(self, line: str) -> list[RemoteSession]:
        """Return the sessions a line names by name or id: all of this notebook's when it names none."""
        words = set(split_words(line))
        found = [each for each in self.sessions if not words or words & {each.info.id, each.info.spec.name}]
        if not found:
            raise NotFound(
                f"This notebook has no session {' '.join(sorted(words))}: `%gpu_status` lists them."
                if words
                else "This notebook has no session yet: a `%%gpu` cell opens one."
            )
        return found

    def _only_session(self) -> RemoteSession:
        return self._chosen("")[-1]

    def _remote_only(self, session: RemoteSession) -> list[str]:
        """Return what lives in a session alone; a session that sleeps is not woken for it."""
        here = self.sessions.shell.user_ns
        names = {handle.name for handle in self.sessions.references.alive(session.info.id)}
        names.update(name for name in session.refresh().kept_names if name not in here)
        names.update(name for name in self._at_stake(session).remote if name not in here)
        return sorted(names)

    def _at_stake(self, session: RemoteSession) -> AtStake:
        """Ask a container that is up what it alone holds, and what of that cannot be saved."""
        if session.up and session.channel.peer_up:
            with suppress(CellburstError):  # it is going away by itself: then the handles are what is known
                try:
                    answer = self._pump(session).ask("state_request", {}).content
                except Conflict:  # another thread waits for a cell
                    answer = {"busy": True}
                return read_stake(answer, self.sessions.references.alive(session.info.id))
        return AtStake()

    def _standing(self, session: RemoteSession) -> list[str]:
        if session.refresh().container_state is None:
            session.note_lost()  # what a container that is up has by these names was made since
        references, id_ = self.sessions.references, session.info.id
        return reports.session_lines(session.info, references.alive(id_), references.lost(id_))

    def _drain(self, session: RemoteSession) -> None:
        with suppress(Conflict):  # another thread does
            self._pump(session).drain()

    def _pump(self, session: RemoteSession) -> Any:
        status = StatusLine(self.shell, clearable=False, enabled=False)
        return self.sessions.pump(session, status, Outputs(self.shell, status))


def _ask_token(url: str) -> str:
    try:
        return getpass.getpass(f"Token for {url}: ").strip()
    except (EOFError, StdinNotImplementedError):
        raise UsageError(
            "Nobody can be asked for the token here: set CELLBURST_URL and CELLBURST_TOKEN where the kernel starts."
        ) from None


def _no_arguments(name: str, line: str) -> None:
    if line.strip():
        raise UsageError(f"`%{name}` takes no arguments.")


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201 - a magic's answer is printed
