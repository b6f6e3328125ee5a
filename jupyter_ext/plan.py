"""`--dry-run`: what a cell would send and where it would run, without starting anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_ext.arguments import CellOptions
from jupyter_ext.files import LocalFiles
from jupyter_ext.notebook import directory
from jupyter_ext.packages import requirements_for
from jupyter_ext.prefetch import CapturedCell
from jupyter_ext.provisions import KERNEL_PACKAGES
from jupyter_ext.session import Sessions
from kernel_bridge.capture.handle import format_bytes
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.client.embedded import running_runtime
from kernel_bridge.protocol.images import NOTEBOOK
from kernel_bridge.protocol.money import format_usd
from kernel_bridge.protocol.sessions import SessionSpec


def show(sessions: Sessions, cell: CapturedCell, options: CellOptions, spec: SessionSpec) -> None:
    """Print names with types and sizes, files, packages, image, card and rate."""
    exported = Mirror(sessions.shell.user_ns, references=sessions.references).export(cell.names)
    rows = [(", ".join(unit.names), _types(unit.types), format_bytes(unit.size_bytes)) for unit in exported.units]
    known = sessions.known(spec)
    lines = [f"{name}: {kind}, {size}" for name, kind, size in rows] or ["no names"]
    lines += [f"{', '.join(refusal.names)}: stays here, {refusal.reason}" for refusal in exported.refusals]
    if cell.dynamic:
        lines.append(f"any of {len(cell.visible)} names, when the cell touches it")
    files = LocalFiles(directory() or ".").named(cell.paths)
    lines += [f"file {file.path}: {format_bytes(file.size_bytes)}" for file in files]
    if spec.image.base == NOTEBOOK:
        lines += [f"package {text}" for text in requirements_for(cell.modules, exclude=KERNEL_PACKAGES).requirements]
    lines += [f"image {spec.image.label}", f"card {spec.gpu}", _rate(sessions, known)]
    print("\n".join(["This cell would send, were it new to its session:", *(f"  {line}" for line in lines)]))  # noqa: T201


def _rate(sessions: Sessions, known: Any) -> str:
    if known is not None and known.info.rate_microusd_per_h:
        return f"rate {format_usd(known.info.rate_microusd_per_h)} an hour"
    config = sessions.config()
    runtime = None if config.connected else running_runtime(config)
    table = f" (prices of {runtime.price_table})" if runtime is not None and runtime.price_table else ""
    return f"rate: known when its session is opened{table}"


def _types(types: Mapping[str, str] | None) -> str:
    return ", ".join(dict.fromkeys((types or {}).values()))
