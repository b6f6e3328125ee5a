"""Numbered messages over a connection that breaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.protocol.framing import open_envelope
from kernel_bridge.protocol.resume import Inbox, Outbox

Step = st.sampled_from(["push", "deliver", "lose", "acknowledge", "reconnect"])


@given(st.lists(Step, max_size=200))
def test_everything_arrives_once_and_in_order(steps: list[str]) -> None:
    """Whatever is lost, repeated or acknowledged late, the receiver sees each message once, in order."""
    outbox, inbox, wire, seen, pushed = Outbox(), Inbox(), [], [], 0
    for step in [*steps, "reconnect", *["deliver"] * (len(steps) + 1)]:
        if step == "push":
            wire.append(outbox.push([str(pushed).encode()]))
            pushed += 1
        elif step == "deliver" and wire:
            _, seq, body = open_envelope(wire.pop(0))
            if inbox.accept(seq):
                seen.append(int(bytes(body)))
        elif step == "lose":
            wire.clear()  # a broken connection loses what is on its way, and the next one begins with `reconnect`
            wire.extend(outbox.after(inbox.received))
        elif step == "acknowledge":
            outbox.acknowledge(inbox.received)
        elif step == "reconnect":
            wire = list(outbox.after(inbox.received))
    assert seen == list(range(pushed))


def test_what_is_acknowledged_is_forgotten() -> None:
    """The outbox holds only what may have to be sent again."""
    outbox = Outbox()
    for _ in range(5):
        outbox.push([b"x"])
    outbox.acknowledge(3)
    assert outbox.waiting == 2
    assert [open_envelope(data)[1] for data in outbox.after(4)] == [5]


def test_acknowledgements_are_gathered() -> None:
    """A busy stream is acknowledged now and then, an idle one at once."""
    inbox = Inbox()
    assert inbox.accept(1)
    assert not inbox.accept(1)
    assert inbox.due() is None
    assert inbox.due(idle=True) == 1
    assert inbox.due(idle=True) is None
