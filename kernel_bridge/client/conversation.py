"""The client's half of a session's conversation: numbering, resuming, and what each arrival means. Sans I/O."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator

from kernel_bridge.client.events import Event
from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.framing import ACK, MESSAGE, envelope, note, open_envelope, read_note
from kernel_bridge.protocol.messages import Buffer, decode
from kernel_bridge.protocol.notes import (
    Hello,
    Note,
    PeerDown,
    PeerUp,
    Progress,
    Refused,
    Wake,
    Welcome,
    note_from_wire,
    note_to_wire,
)
from kernel_bridge.protocol.resume import Inbox, Outbox
from kernel_bridge.protocol.version import PROTOCOL

log = logging.getLogger(__name__)


def note_envelope(value: Note) -> bytes:
    """Return a note as it goes down the websocket."""
    return note(note_to_wire(value))


class Conversation:
    """What was said on one session, over as many connections as it took.

    A stream is one container's life. When it is over, what was sent to it and not answered is gone with it; what is
    sent afterwards waits for the next one.
    """

    def __init__(self) -> None:
        self.stream = ""
        self.peer_up = False
        self.gap = False  # a message came whose predecessor did not; it will come again
        self._wake_wanted = False
        self._unanswered: set[str] = set()  # requests of ours whose reply has not come
        self._outbox = Outbox()
        self._inbox = Inbox()
        self._to_send: deque[bytes] = deque()

    @property
    def received(self) -> int:
        """Return the number of the last message that arrived in order."""
        return self._inbox.received

    @property
    def wanted(self) -> bool:
        """Tell whether the notebook waits for something of a container: for one to be there, or for a reply."""
        return self._wake_wanted or bool(self._unanswered)

    def push(self, payload: Buffer, request_id: str = "") -> None:
        """Take an encoded message that is to be delivered on this stream; a request is named by its id."""
        if request_id:
            self._unanswered.add(request_id)
        data = self._outbox.push([payload])
        if self.peer_up:  # else it would be dropped on the way: the resume sends it
            self._to_send.append(data)

    def wake(self) -> bytes:
        """Return the note that asks for a container; it is repeated on every connection until there is an answer."""
        self._wake_wanted = True
        return note_envelope(Wake())

    def opening(self) -> list[bytes]:
        """Return what to say first on a new connection."""
        self.peer_lost()
        hello = Hello(protocol=PROTOCOL, stream=self.stream, received=self._inbox.received)
        return [note_envelope(hello), *([note_envelope(Wake())] if self._wake_wanted else [])]

    def outgoing(self) -> Iterator[bytes]:
        """Yield the envelopes to send now, each once."""
        while self._to_send:
            yield self._to_send.popleft()

    def peer_lost(self) -> None:
        """Stop sending until the next PeerUp says how far the other end got."""
        self.peer_up = False
        self._to_send.clear()

    def acknowledgement(self, *, idle: bool = False) -> bytes | None:
        """Return the acknowledgement to send now, if one is due."""
        due = self._inbox.due(idle=idle) if self.peer_up else None
        return None if due is None else envelope(ACK, due)

    def receive(self, data: Buffer) -> list[Event]:
        """Take one websocket message; return what it means for the notebook. Raises BadRequest."""
        kind, seq, body = open_envelope(data)
        if kind == MESSAGE:
            return self._message(seq, body)
        if kind == ACK:
            self._outbox.acknowledge(seq)
            return []
        return self._note(note_from_wire(read_note(body)))

    def _message(self, seq: int, body: Buffer) -> list[Event]:
        # The other end may have sent this one before it learned what we lack. It sends all of that again, this one too;
        # taken now, the ones before it would look like repetitions.
        if seq > self._inbox.received + 1:
            self.gap = True
            return []
        if not self._inbox.accept(seq):
            return []
        self.gap = False
        try:
            message = decode(body)
        except BadRequest:
            log.warning("message %d of %s could not be read and is skipped", seq, self.stream)
            return []
        if message.type.endswith("_reply"):
            self._unanswered.discard(message.parent_id)
        return [message]

    def _note(self, value: Note) -> list[Event]:
        match value:
            case PeerUp():
                return [*self._peer_up(value), value]
            case PeerDown():
                self.peer_lost()
                if value.final:
                    self._reset()
                return [value]
            case Welcome():
                return [*self._container_is(value.session.container_id), value]
            case Refused():
                self._wake_wanted = False
                return [value]
            case Progress():
                return [value]
        return []

    def _peer_up(self, value: PeerUp) -> list[Event]:
        over = [] if self.stream in {"", value.stream} else self._over()
        self.stream = value.stream
        self.peer_up = True
        self.gap = False
        self._wake_wanted = False
        self._outbox.acknowledge(value.received)
        self._to_send = deque(self._outbox.after(value.received))
        return over

    def _container_is(self, container_id: str) -> list[Event]:
        """Notice that the container we know is gone: it ended while we were not connected."""
        # A stream is named after its container; one container can have several, `ctr_1` and `ctr_1/2`.
        return self._over() if self.stream and self.stream.partition("/")[0] != container_id else []

    def _over(self) -> list[Event]:
        self._reset()
        return [PeerDown(why="The container went away while the connection was down.", final=True)]

    def _reset(self) -> None:
        self.stream = ""
        self.gap = False
        self.peer_lost()
        self._unanswered.clear()
        self._outbox = Outbox()
        self._inbox = Inbox()
