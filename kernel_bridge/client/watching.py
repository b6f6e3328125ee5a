"""What happens in a runtime, as it happens: `GET /v1/events` as an iterator of values."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kernel_bridge.client.retry import Backoff
from kernel_bridge.client.transport import Transport
from kernel_bridge.config import Address
from kernel_bridge.errors import BadRequest, RuntimeUnreachable
from kernel_bridge.protocol.events import RuntimeEvent, event_from_wire

SILENT_S: Final = 45.0  # the runtime says something every 15 s


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and its id: who comes back with that id is told what came after."""

    id: str
    event: RuntimeEvent


def watch(address: Address, last_id: str = "", *, again: bool = True) -> Iterator[Seen]:
    """Yield what happens, from a snapshot on, or from the event after `last_id` where the runtime still knows it.

    A connection that breaks is made again, unless `again` is false: then the iterator ends. Raises what the runtime
    refuses with, and RuntimeUnreachable when it does not answer the first time.
    """
    pauses = Backoff().pauses_s()
    reached = False
    transport = Transport(address)
    try:
        while True:
            try:
                for seen in _once(transport, last_id):
                    last_id, reached, pauses = seen.id, True, Backoff().pauses_s()
                    yield seen
            except RuntimeUnreachable:
                if not (again and reached):
                    raise
            if not again:
                return
            time.sleep(next(pauses))
    finally:
        transport.close()


def _once(transport: Transport, last_id: str) -> Iterator[Seen]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    for sent in transport.events("/v1/events", headers, silent_s=SILENT_S):
        try:
            event = event_from_wire(json.loads(sent.data))
        except (BadRequest, ValueError):  # a newer runtime tells more than we know
            continue
        yield Seen(sent.id, event)
