"""The defaults and limits of the product, in one table, with their units in their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds when nobody says otherwise."""

    idle_after_s: float = 300.0  # no cell or call runs for so long: state saved, container gone
    freeze_after_s: float = 10.0  # no cell for so long: user code that does nothing is frozen until it is needed
    cell_timeout_s: float | None = None  # a cell may run for ever
    hibernated_kept_s: float = 7 * 86400.0
    unused_kept_s: float = 7 * 86400.0  # blobs, environments, logs and sessions without state that nobody uses
    records_kept_s: float = 90 * 86400.0  # rows of closed sessions; the ledger is kept for ever
    blob_budget_bytes: int = 50 << 30  # above it, those unused for longest go earlier
    image_budget_bytes: int = 100 << 30
    heartbeat_s: float = 5.0
    silence_s: float = 20.0  # an end that answers no ping for so long has gone, whatever its socket says
    stalled_s: float = 10.0  # one that takes nothing for so long is hung up on; it dials again and goes on
    outbox_memory_bytes: int = 64 << 20  # output the notebook has not got: then the cell's next print waits
    outbox_disk_bytes: int = 1 << 30  # so much more while the notebook is away
    orphan_after_s: float = 600.0  # how long a cell goes on without its notebook
    runtime_lost_after_s: float = 120.0  # how long a container goes on without a control plane
    unsaved_kept_s: float = 3600.0  # how much longer, when its state cannot be saved
    linger_s: float = 60.0  # how long an embedded runtime stays when nothing is left
    queue_timeout_s: float = 600.0
    build_timeout_s: float = 3600.0
    start_timeout_s: float = 60.0
    page_timeout_s: float = 30.0  # how long a name may be waited for outside a waiting cell
    kill_after_s: float = 10.0  # between a cell's time limit and the end of its process
    writeback_limit_bytes: int = 32 << 20
    writeback_limit_same_host_bytes: int = 256 << 20
    file_limit_bytes: int = 1 << 30  # a local file brought over because the cell reads it
    inline_bytes: int = 32 << 10  # smaller buffers travel inside the pickle
    frame_limit_bytes: int = 64 << 20  # larger values travel as blobs
    blob_limit_bytes: int = 64 << 30
    cpu: float = 1.0  # what a container without --cpu is billed for; it may use more
    memory_bytes: int = 4 << 30  # the same without --memory
    memory_share: float = 0.9  # of the host's memory: what all cells of a runtime may use together
    least_memory_bytes: int = 256 << 20  # a kernel with its agent starts in no less
    pids: int = 4096  # processes and threads of one container's cells
    disk_bytes: int = 50 << 30  # of one session's files
    disk_reserve_bytes: int = 1 << 30  # what a cell leaves free on their file system


DEFAULTS: Final = Defaults()
