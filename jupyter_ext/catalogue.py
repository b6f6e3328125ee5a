"""What the runtime in use has to offer, remembered for tab completion: a look is short and starts no runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import Address, ClientConfig
from kernel_bridge.errors import CellburstError

WAIT_S: Final = 0.2
_FRESH_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Names that can be written after `%%gpu`; all empty where no runtime answers."""

    cards: tuple[tuple[str, int], ...] = ()  # with how many there are
    volumes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()


class Catalogue:
    """Asks in a thread of its own; whoever looks gets what is known, and waits a moment where nothing is yet."""

    def __init__(self, config: Callable[[], ClientConfig]) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._known = Offered()
        self._known_of = ""  # the runtime's address
        self._known_at_s = float("-inf")
        self._asking: threading.Thread | None = None

    def look(self) -> Offered:
        """Return what the runtime offers, as far as it is known within 0.2 s."""
        try:
            address = _address(self._config())
        except CellburstError:
            return Offered()
        if address is None:
            return Offered()
        asking = self._ask(address)
        if asking is not None and self._known_of != str(address):
            asking.join(WAIT_S)
        return self._known if self._known_of == str(address) else Offered()

    def _ask(self, address: Address) -> threading.Thread | None:
        """Have the runtime asked unless that was done just now; return the thread that is at it."""
        with self._lock:
            if self._asking is not None and self._asking.is_alive():
                return self._asking
            if self._known_of == str(address) and time.monotonic() - self._known_at_s < _FRESH_S:
                return None
            self._asking = threading.Thread(
                target=self._learn, args=(address,), name="cellburst catalogue", daemon=True
            )
            self._asking.start()
            return self._asking

    def _learn(self, address: Address) -> None:
        offered = Offered()
        with suppress(CellburstError), ControlPlane(address) as plane:
            offered = _offered(plane)
        self._known, self._known_of, self._known_at_s = offered, str(address), time.monotonic()


def _address(config: ClientConfig) -> Address | None:
    """Return the runtime in use; None where this machine's own has never run."""
    if config.connected is not None:
        return config.connected
    own = config.embedded_address()
    return own if own.token else None


def _offered(plane: ControlPlane) -> Offered:
    return Offered(
        cards=tuple((stock.card, stock.total) for stock in plane.runtime().cards),
        volumes=tuple(sorted(volume.name for volume in plane.volumes())),
        secrets=tuple(sorted(secret.name for secret in plane.secrets())),
        sessions=tuple(sorted({session.spec.name for session in plane.sessions()} - {""})),
    )
