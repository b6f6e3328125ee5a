"""What travels with an execute_request and its reply, and on the `state` channel while the cell runs.

The request's and the reply's `metadata["cellburst"]` hold a CellRequest and a CellReply. On the `state` channel, a
`*_request` is answered by the `*_reply` of the same name whose parent it is.

container asks  page_request {names}      -> page_reply {units, missing, refused: {name: why}}
                file_request {path}       -> file_reply {file: FileRef | null, why}
                package_request {module}  -> package_reply {layers, modules: [FileRef], why}
notebook asks   fetch_request {key}       -> fetch_reply {unit: UnitHead | null, why}
                get_file_request {path}   -> get_file_reply {file: FileRef | null, why}
                state_request {}          -> state_reply {names: {name: type} of what lives remotely only}
container, agent  save_request / save_reply, blob_get_request / blob_get_reply, blob_put_request / blob_put_reply
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kernel_bridge.protocol.blobs import BufferRef, UnitHead

METADATA_KEY: Final = "cellburst"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestChange:
    """Which names the notebook has that the container does not hold in their present form.

    `full` starts over. `available` may be asked for from now on (and what the container holds under these names is out
    of date); `gone` were deleted in the notebook.
    """

    full: bool = False
    available: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A file below the notebook's folder, with a relative path in forward slashes; without `data` it stayed there."""

    path: str
    size_bytes: int
    digest: str = ""  # xxh3_128 of the content
    data: BufferRef | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRequest:
    """Everything a cell needs besides its code."""

    epoch: str = ""  # the namespace it is meant for; empty for the first
    manifest: ManifestChange = ManifestChange()
    units: tuple[UnitHead, ...] = ()
    may_change: tuple[str, ...] = ()  # delivered names the cell may reach: compared afterwards
    check_all: bool = False  # the cell is dynamic: compare every delivered name
    out: tuple[str, ...] | None = None  # bring home only these
    leave: tuple[str, ...] = ()  # keep these remote whatever their size
    release: tuple[str, ...] = ()  # handles nobody holds any more
    writeback_limit_bytes: int = 0
    layers: tuple[str, ...] = ()  # package layers, in the order of their making
    modules: tuple[FileRef, ...] = ()  # local modules by content; paths relative to the module root
    files: tuple[FileRef, ...] = ()  # files the cell names and the container lacks
    timeout_s: float | None = None
    want_result: bool = True  # send the value of the last expression home
    shared_arena: bool = False  # the notebook reads the session's arena; else large buffers come home as blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleHead:
    """A value that stayed in the container, as its stand-in shows it."""

    key: str
    name: str
    type: str
    shape: str = ""
    dtype: str = ""
    device: str = ""
    size_bytes: int | None = None
    reason: str = ""  # why it stayed: "larger than 256 MB", "cannot be pickled: ...", "--leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReply:
    """What a cell left behind."""

    epoch: str
    units: tuple[UnitHead, ...] = ()
    deleted: tuple[str, ...] = ()
    handles: tuple[HandleHead, ...] = ()
    result: str = ""  # "": none; "unit": the last unit, named RESULT_NAME; "handle": the handle named RESULT_NAME
    files: tuple[FileRef, ...] = ()
    paged: tuple[str, ...] = ()  # names that were fetched on first touch
    notices: tuple[str, ...] = ()  # lines to show under the cell
    prepare_s: float = 0.0  # before execution: values rebuilt, packages imported for them, files written
    run_s: float = 0.0  # execution only
    exception: UnitHead | None = None  # the exception object, where it can travel
    state_lost: bool = False  # the request was for another namespace; nothing was run


RESULT_NAME: Final = "_cellburst_result"
