"""What a channel hands to the notebook, besides the Jupyter messages themselves."""

from __future__ import annotations

from dataclasses import dataclass

from kernel_bridge.protocol.messages import Message
from kernel_bridge.protocol.notes import PeerDown, PeerUp, Progress, Refused, Welcome


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection to the control plane broke; the channel is trying again. What was sent is not lost."""

    why: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The control plane answers again after a Disconnected."""

    after_s: float


# A final PeerDown always comes before the PeerUp of another stream; Refused is the last event where the control plane
# will not have us at all (a wrong token, a closed session).
Event = Message | Welcome | Progress | PeerUp | PeerDown | Refused | Disconnected | Reconnected
