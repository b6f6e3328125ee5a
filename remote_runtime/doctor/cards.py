"""Cards: those of the driver, and those that were declared."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kernel_bridge.protocol.resources import GpuRequest
from remote_runtime.doctor.findings import Finding, Grade, Group

_ANSWER_S: Final = 10.0
_DRIVER: Final = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Which cards were seen, and how."""

    names: tuple[str, ...] = ()
    driver: str = ""
    how: str = ""  # "NVML" or "nvidia-smi"; empty: neither answered
    problem: str = ""
    declared: GpuRequest = GpuRequest()


def probe(declared: GpuRequest) -> CardFacts:
    """Ask NVML, where its Python module is installed, else the driver's own program."""
    try:
        nvml = importlib.import_module("pynvml")  # from nvidia-ml-py, which nobody has to install
    except ImportError:
        return _ask_program(declared)
    try:
        return _ask_nvml(nvml, declared)
    except nvml.NVMLError as error:
        return CardFacts(problem=f"NVML: {error}", declared=declared)


def judge(facts: CardFacts) -> tuple[Finding, ...]:
    """Say on what cells will run."""
    declared = f"; simulated: {facts.declared}" if facts.declared.choices else ""
    if facts.names:
        cards = ", ".join(f"{count} x {name}" for name, count in sorted(Counter(facts.names).items()))
        means = "Cells can reach these cards; this release hands out declared cards only."
        return (_finding(Grade.OK, f"{cards} (driver {facts.driver}, by {facts.how}){declared}", means),)
    if facts.declared.choices:
        found = f"simulated: {facts.declared}; {facts.problem}"
        means = "Cells will run on the processor, and every place that shows these cards says so."
        return (_finding(Grade.OK, found, means),)
    means = "Cells will run on the processor with `%%gpu cpu`; a card that is asked for is refused."
    mend = "Install the NVIDIA driver where there is a card; to try without: `%gpu_config simulate=A100:1`."
    if _DRIVER.exists():
        mend = "Start the driver: `sudo nvidia-modprobe -u`, then `nvidia-smi` has to answer."
    return (_finding(Grade.MISSING, facts.problem, means, mend),)


def read_program(text: str) -> tuple[tuple[str, ...], str]:
    """Read what `nvidia-smi` printed: the cards' names, and the driver's version."""
    rows = [line.rpartition(",") for line in text.splitlines() if "," in line]
    return tuple(name.strip() for name, _, _ in rows), rows[0][2].strip() if rows else ""


def _ask_nvml(nvml: Any, declared: GpuRequest) -> CardFacts:
    nvml.nvmlInit()
    try:
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        names = tuple(_text(nvml.nvmlDeviceGetName(handle)) for handle in handles)
        driver = _text(nvml.nvmlSystemGetDriverVersion())
    finally:
        nvml.nvmlShutdown()
    return CardFacts(names=names, driver=driver, how="NVML", problem="the driver has no card", declared=declared)


def _ask_program(declared: GpuRequest) -> CardFacts:
    program = shutil.which("nvidia-smi")
    if program is None:
        return CardFacts(problem="no NVML and no nvidia-smi: no driver here", declared=declared)
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ANSWER_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return CardFacts(problem=f"nvidia-smi: {error}", declared=declared)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        return CardFacts(problem=f"nvidia-smi: {said[0] if said else 'it failed'}", declared=declared)
    names, driver = read_program(done.stdout)
    return CardFacts(
        names=names, driver=driver, how="nvidia-smi", problem="nvidia-smi lists no card", declared=declared
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _finding(grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.EXTRAS, subject="cards", grade=grade, found=found, means=means, mend=mend)
