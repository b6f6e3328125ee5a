"""The cards of this machine as NVML tells of them: names, identities, health, and how they are used.

Every function asks anew: a card may fall off its bus, and a driver be loaded after the runtime began.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pynvml

from kernel_bridge.protocol.cards import card_name

log = logging.getLogger(__name__)

_DEVICES: Final = Path("/dev")
_CAPABILITIES: Final = Path("/proc/driver/nvidia/capabilities")
_SHARED: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")  # whichever card is used


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card, or one MIG instance of a card that was parted."""

    uuid: str
    name: str  # what people ask for: "H100", "A100-80GB"
    memory_bytes: int
    files: tuple[str, ...] = ()  # through which its driver is reached
    problem: str = ""  # why it is given to nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUse:
    """How a card is used at this moment."""

    uuid: str
    busy: float  # the share of the last second in which it computed, 0 to 1
    memory_used_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What NVML said; `problem` is why it said nothing."""

    cards: tuple[Card, ...] = ()
    driver: str = ""
    problem: str = ""


def survey() -> Survey:
    """Look at every card there is. Never raises: no driver is a survey with a problem."""
    try:
        with _nvml():
            driver = _text(pynvml.nvmlSystemGetDriverVersion())
            cards = tuple(card for number in range(pynvml.nvmlDeviceGetCount()) for card in _cards(number))
    except pynvml.NVMLError as error:
        return Survey(problem=f"NVML: {error}")
    return Survey(cards=cards, driver=driver, problem="" if cards else "the driver has no card")


def usage() -> tuple[CardUse, ...]:
    """Return how whole cards are used; a card that does not say so is left out."""
    found: list[CardUse] = []
    try:
        with _nvml():
            for number in range(pynvml.nvmlDeviceGetCount()):
                with contextlib.suppress(pynvml.NVMLError):
                    found.append(_use(pynvml.nvmlDeviceGetHandleByIndex(number)))
    except pynvml.NVMLError:
        return ()
    return tuple(found)


@contextlib.contextmanager
def _nvml() -> Iterator[None]:
    pynvml.nvmlInit()  # counted: within a process the library is set up once
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _cards(number: int) -> Iterator[Card]:
    """Return a card, or what it was parted into; one that does not answer is told with its problem."""
    try:
        device = pynvml.nvmlDeviceGetHandleByIndex(number)
        parts = list(_parts(device))
        yield from parts or [_whole(device)]
    except pynvml.NVMLError as error:
        log.error("card %d does not answer: %s", number, error)
        yield Card(uuid=f"card-{number}", name="unknown", memory_bytes=0, problem=f"it does not answer: {error}")


def _whole(device: Any) -> Card:
    memory_bytes = int(pynvml.nvmlDeviceGetMemoryInfo(device).total)
    files = (*_shared_files(), str(_DEVICES / f"nvidia{pynvml.nvmlDeviceGetMinorNumber(device)}"))
    name = card_name(_text(pynvml.nvmlDeviceGetName(device)), memory_bytes)
    return Card(uuid=_text(pynvml.nvmlDeviceGetUUID(device)), name=name, memory_bytes=memory_bytes, files=files)


def _parts(device: Any) -> Iterator[Card]:
    """Return the MIG instances of a card; none where it is whole."""
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(device)
    except pynvml.NVMLError:  # most cards cannot be parted
        return
    if current != pynvml.NVML_DEVICE_MIG_ENABLE:
        return
    minor = pynvml.nvmlDeviceGetMinorNumber(device)
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        with contextlib.suppress(pynvml.NVMLError_NotFound):
            yield _part(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, number), minor)


def _part(part: Any, minor: int) -> Card:
    instance, compute = pynvml.nvmlDeviceGetGpuInstanceId(part), pynvml.nvmlDeviceGetComputeInstanceId(part)
    below = _CAPABILITIES / f"gpu{minor}" / "mig" / f"gi{instance}"
    keys = (_capability(below / "access"), _capability(below / f"ci{compute}" / "access"))
    return Card(
        uuid=_text(pynvml.nvmlDeviceGetUUID(part)),
        name=card_name(_text(pynvml.nvmlDeviceGetName(part))),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(part).total),
        files=(*_shared_files(), str(_DEVICES / f"nvidia{minor}"), *filter(None, keys)),
    )


def _capability(access: Path) -> str:
    """Return the device file that stands for a capability of the driver, as the driver's own file says."""
    try:
        number = re.search(r"DeviceFileMinor: (\d+)", access.read_text())
    except OSError:
        return ""
    return str(_DEVICES / "nvidia-caps" / f"nvidia-cap{number[1]}") if number else ""


def _shared_files() -> tuple[str, ...]:
    return tuple(str(_DEVICES / name) for name in _SHARED if (_DEVICES / name).exists())


def _use(device: Any) -> CardUse:
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    return CardUse(
        uuid=_text(pynvml.nvmlDeviceGetUUID(device)),
        busy=pynvml.nvmlDeviceGetUtilizationRates(device).gpu / 100,
        memory_used_bytes=int(memory.used),
        memory_bytes=int(memory.total),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
