"""Secrets' values in the namespace: what holds one does not go home, and is saved as a reference to the variable.

A saved text is kept with a gap where the value was. On waking the gap is filled from the environment, so that a secret
that was changed meanwhile is the new one everywhere. Sessions without secrets pay for none of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import PackedUnit, ReceivedUnit
from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.redaction import Redactor
from kernel_bridge.protocol.spellings import WAYS

KIND: Final = "secret"
_SAMPLE_BYTES: Final = 1024
_CHUNK_BYTES: Final = 1 << 20
_NOT_TEXT: Final = bytes([*range(9), *range(14, 28), 127])  # control characters that texts do not hold
_TEXT_SHARE: Final = 0.9

Reference = tuple[str, dict[str, Any]]


def secrets_of(config: ContainerConfig) -> dict[str, str]:
    """Return the variables of a container that came from a secret."""
    return {key: config.env[key] for key in config.secret_keys if key in config.env}


class SecretTexts:
    """The values of a container's secrets, and where they are."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._redactor = Redactor(values)
        self._known_at_home: frozenset[str] = frozenset()
        longest = max((len(text.encode("utf-8", "surrogatepass")) for text in values.values()), default=0)
        self._overlap_bytes = 3 * longest + 8  # no spelling of a value is longer

    def __bool__(self) -> bool:
        return self._redactor.has_values

    def learn_what_came(self, units: Iterable[ReceivedUnit]) -> None:
        """Note which values the notebook sent itself: they are no secret to it, and may go back."""
        for unit in units:
            self._known_at_home |= self._held_in(unit)

    def why_not_home(self, unit: PackedUnit) -> str:
        """Say why a unit must not go home: a value lies in it, in some spelling. Empty when it may."""
        return _why_not(self._held_in(unit) - self._known_at_home)

    def why_not_on_disk(self, unit: PackedUnit) -> str:
        """Say why a unit must not be saved, empty when it may."""
        return _why_not(self._held_in(unit))

    def refer(self, text: str | bytes) -> Reference | None:
        """Return what is saved for a text that holds a value, or None when it may be saved as it is.

        A part of a value, as in base64 of a text around it, leaves nothing to write it anew from: None as well.
        """
        if isinstance(text, bytes):
            if not self._redactor.held_in(text):
                return None
            parts = self._parts(text.decode("utf-8", "surrogateescape"))
        else:
            parts = self._parts(text)
        return None if parts is None else (KIND, {"parts": parts, "bytes": isinstance(text, bytes)})

    def find(self, details: Mapping[str, Any]) -> str | bytes:
        """Write a saved text anew from the values of now; raises NotFound naming a variable that is gone."""
        text = "".join(part if isinstance(part, str) else self._write(*part) for part in details["parts"])
        return text.encode("utf-8", "surrogateescape") if details["bytes"] else text

    def _parts(self, text: str) -> list[str | tuple[str, str]] | None:
        parts: list[str | tuple[str, str]] = []
        end = 0
        for found in self._redactor.find(text):
            if found.spelling.key and not found.spelling.way:
                return None
            if found.spelling.key:
                parts += [text[end : found.start], (found.spelling.key, found.spelling.way)]
                end = found.end
        return [*parts, text[end:]] if parts else None

    def _write(self, key: str, way: str) -> str:
        if key not in self._values:
            raise NotFound(f"it holds the secret {key}, which this session no longer has")
        return WAYS[way](self._values[key])

    def _held_in(self, unit: PackedUnit | ReceivedUnit) -> frozenset[str]:
        return self._redactor.held_in(bytes(unit.pickle)).union(*map(self._held_in_buffer, unit.buffers))

    def _held_in_buffer(self, buffer: memoryview | bytes) -> frozenset[str]:
        view = memoryview(buffer).cast("B")
        if not _is_text(view):  # numbers: to look through gigabytes of them would find nothing
            return frozenset()
        starts = range(0, len(view), _CHUNK_BYTES)
        chunks = (bytes(view[start : start + _CHUNK_BYTES + self._overlap_bytes]) for start in starts)
        return frozenset().union(*map(self._redactor.held_in, chunks))


class SavingTable(ReferenceTable):
    """What a saved state refers to: values that stay, and variables instead of secrets' values."""

    def __init__(self, texts: SecretTexts) -> None:
        super().__init__()
        self._texts = texts

    def refer(self, value: object) -> Reference | None:
        """Return the name a value is saved under, or None when it is saved as data."""
        if type(value) is str or type(value) is bytes:
            return self._texts.refer(value)
        return super().refer(value)

    def has_builtin_kinds(self) -> bool:
        """Say yes: the pickler must ask about every text."""
        return True


def _why_not(keys: frozenset[str]) -> str:
    return f"it holds the value of the secret {', '.join(sorted(keys))}" if keys else ""


def _is_text(view: memoryview) -> bool:
    """Judge by a few samples whether bytes are UTF-8 text, as joined string columns are."""
    starts = (0, len(view) // 2, max(0, len(view) - _SAMPLE_BYTES))
    sample = b"".join(bytes(view[start : start + _SAMPLE_BYTES]) for start in starts)
    return len(sample.translate(None, _NOT_TEXT)) >= _TEXT_SHARE * len(sample)
