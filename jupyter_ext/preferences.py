"""What `%gpu_config` sets for this notebook: the defaults of its `%%gpu` cells."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from jupyter_ext.arguments import parse_positive, parse_volume
from kernel_bridge.config import check_trust
from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.resources import parse_duration, parse_gpu, parse_size, write_size
from kernel_bridge.protocol.sessions import VolumeMount


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The defaults of one notebook; None means the product's own."""

    gpu: str = "any"
    image: str = ""  # an expression, evaluated in the notebook; empty: the notebook's own packages
    volumes: tuple[VolumeMount, ...] = ()
    secrets: tuple[str, ...] = ()
    cpu: float | None = None  # None: no limit
    memory: int | None = None
    timeout: float | None = DEFAULTS.cell_timeout_s
    idle: float = DEFAULTS.idle_after_s
    writeback_limit: int | None = None  # bytes; None: by where the container is
    trust: str = "auto"  # as the runtime was connected to; else `code` or `data`

    def change(self, key: str, text: str) -> Preferences:
        """Return them with one changed; raises BadOption that says what there is."""
        if key not in KEYS:
            raise BadOption(f"`{key}` is no setting: there are {', '.join((*KEYS, 'simulate'))}.")
        return replace(self, **{key: _read(key, text.strip())})

    def table(self) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of every setting, as text."""
        return [(key, _show(key, getattr(self, key)), meaning) for key, meaning in KEYS.items()]


KEYS: Final = {
    "gpu": "the card of a bare `%%gpu`",
    "image": "the image of cells without `--image`",
    "volumes": "volumes mounted in every cell: `models:/models,data:/data:ro`",
    "secrets": "secrets every cell gets: `hf,wandb`",
    "cpu": "processor cores, at most",
    "memory": "memory at most, as `16G`",
    "timeout": "a cell's time limit, as `30m`, or `none`",
    "idle": "after how long without a cell the state is saved and billing stops",
    "writeback_limit": "values above it stay remote as handles, as `64M`, or `auto`",
    "trust": "`data`: nothing but plain data comes home; `code`: anything; `auto`: as the runtime was connected",
}
assert set(KEYS) == {field.name for field in fields(Preferences)}  # noqa: S101 - the table is complete


def _read(key: str, text: str) -> Any:
    if text == "none" and key in {"cpu", "memory", "timeout"}:
        return None
    if key == "gpu":
        return str(parse_gpu(text))
    if key in {"volumes", "secrets"}:
        parts = [part.strip() for part in text.split(",") if part.strip() and part.strip() != "none"]
        return tuple(parse_volume(part) if key == "volumes" else part for part in parts)
    if key == "memory" or (key == "writeback_limit" and text != "auto"):
        return parse_size(text)
    if key == "writeback_limit":
        return None
    if key in {"timeout", "idle"}:
        return parse_duration(text)
    if key == "trust":
        return text if text == "auto" else check_trust(text)
    return parse_positive("cpu=", text) if key == "cpu" else text


def _show(key: str, value: Any) -> str:
    if key in {"volumes", "secrets"}:
        return ",".join(map(_mount, value)) or "none"
    if value is None:
        return "auto" if key == "writeback_limit" else "none"
    if key in {"memory", "writeback_limit"}:
        return write_size(value)
    if key in {"timeout", "idle"}:
        return _duration(value)
    return f"{value:g}" if key == "cpu" else str(value or "notebook")


def _mount(value: VolumeMount | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value.source}:{value.path}{':ro' if value.read_only and not value.version else ''}"


def _duration(seconds: float) -> str:
    """Write a time as it is given: `5m`, `90s`."""
    for unit, factor in (("h", 3600), ("m", 60)):
        if seconds >= factor and seconds % factor == 0:
            return f"{seconds / factor:g}{unit}"
    return f"{seconds:g}s"
