"""What this process must never write into its log: the values of secrets that passed through it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from kernel_bridge.logs import strike_tokens
from kernel_bridge.protocol.redaction import Redactor

_MOST: Final = 256  # the newest; a line of the log is looked through for each


class KnownValues:
    """Values that were seen in the clear, whoever they belong to; a value that was replaced is still one."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}  # value -> variable
        self._redactor: Redactor | None = Redactor({})
        self._lock = threading.Lock()  # values are learnt on the store's thread while others log

    def learn(self, values: Mapping[str, str]) -> None:
        """Take note of variables and their values."""
        with self._lock:
            if all(self._keys.get(value) == key for key, value in values.items()):
                return
            newest = list({**self._keys, **{value: key for key, value in values.items()}}.items())[-_MOST:]
            self._keys, self._redactor = dict(newest), None

    def strike(self, text: str) -> str:
        """Return a text as it may be written: without values, and without what looks like one of our tokens."""
        with self._lock:
            redactor = self._redactor
            if redactor is None:
                redactor = self._redactor = Redactor((key, value) for value, key in self._keys.items())
        return strike_tokens(redactor.strike(text))


PASSED_THROUGH: Final = KnownValues()  # of this process, like its log
