"""A secret by name; its values are never here."""

from __future__ import annotations

from dataclasses import dataclass

from kernel_bridge.sdk.volume import check_name


@dataclass(frozen=True, slots=True)
class Secret:
    """Environment variables that the runtime keeps; `%%gpu --secret NAME` puts them into the cell's."""

    name: str

    @classmethod
    def from_name(cls, name: str) -> Secret:
        """Return the secret of this name; make one with `cellburst secret create NAME KEY=-`. Raises BadOption."""
        return cls(check_name("secret", name))
