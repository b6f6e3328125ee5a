"""What travels with an execute_request and its reply, and on the `state` channel while the cell runs.

The request's and the reply's `metadata["cellburst"]` hold a CellRequest and a CellReply. On the `state` channel, a
`*_request` is answered by the `*_reply` of the same name whose parent it is.

container asks  page_request {names}      -> page_reply {units, missing, refused: {name: why}}
                file_request {path, more} -> file_reply {file: FileRef | null, more: [FileRef], why}
                list_request {path, name, tree}  -> list_reply {folders: [FolderList]}
                version_request {module}  -> version_reply {requirement}: what the notebook has of it, as `numpy==2.4.6`
                package_request {module}  -> package_reply {layers, modules: [FileRef], why}
                package_request {requirements}  -> the same: what `%pip install` names
                source_request {name}     -> source_reply {text, number}: of a cell, for a traceback
                (`name`: where the folder is too full to be listed, only this one; `tree`: the folders below it too)
notebook asks   fetch_request {key, data_only}  -> fetch_reply {unit: UnitHead | null, why}
                get_file_request {path}   -> get_file_reply {files: [FileRef], why}: a file, or those of a folder
                file_piece_request {path, offset, size_bytes, mtime_ns}  -> file_piece_reply {data: BufferRef, why}
                state_request {}          -> state_reply {names: {name: type} of what lives remotely only,
                                             lost: {name: why} of what a save would lose now}; {busy} while a cell runs
container, agent  save_request / save_reply, blob_get_request / blob_get_reply, blob_put_request / blob_put_reply
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from kernel_bridge.protocol.blobs import BufferRef, UnitHead

METADATA_KEY: Final = "cellburst"

# Tools keep what is theirs in folders of these names: they are seen on both sides, what is inside is not.
UNLISTED_FOLDERS: Final = frozenset({".git", "__pycache__", ".ipynb_checkpoints"})


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
    """A file below the notebook's folder, with a relative path in forward slashes.

    Without `data` its content did not travel: it is what the other side has (`digest` says which), or it stayed.
    """

    path: str
    size_bytes: int
    digest: str = ""  # xxh3_128 of the content
    data: BufferRef | None = None
    deleted: bool = False
    kind: Literal["file", "folder", "link"] = "file"
    target: str = ""  # of a link
    mode: int = 0  # its permissions; 0: not said
    mtime_ns: int = 0  # 0: not said


class FileEntry(NamedTuple):
    """A name in a folder of the notebook's. Not a dataclass: there may be thousands, and they travel as lists."""

    name: str
    kind: str = "file"  # "folder", "link"
    size_bytes: int = 0
    mtime_ns: int = 0
    mode: int = 0o644
    target: str = ""  # of a link
    why: str = ""  # why the content does not travel; empty for what does


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderList:
    """What lies in a folder of the notebook's; `path` is relative to the notebook's own, which is empty.

    `whole`: these are all; else the folder holds more than it was worth to list.
    """

    path: str
    exists: bool = True
    whole: bool = True
    entries: tuple[Any, ...] = ()  # each the values of a FileEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRequest:
    """Everything a cell needs besides its code."""

    epoch: str = ""  # the namespace it is meant for; empty for the first
    manifest: ManifestChange = ManifestChange()
    units: tuple[UnitHead, ...] = ()
    may_change: tuple[str, ...] = ()  # delivered names the cell may reach: compared afterwards
    check_all: bool = False  # the cell is dynamic: compare every delivered name
    imports: tuple[str, ...] = ()  # modules the cell uses as attributes of their packages
    unlisted: tuple[str, ...] = ()  # what a dynamic cell does not see in `globals()`: it cannot travel, or must not
    out: tuple[str, ...] | None = None  # bring home only these
    leave: tuple[str, ...] = ()  # keep these remote whatever their size
    release: tuple[str, ...] = ()  # handles nobody holds any more
    writeback_limit_bytes: int = 0
    layers: tuple[str, ...] = ()  # package layers, in the order of their making
    modules: tuple[FileRef, ...] = ()  # local modules by content; paths relative to the module root
    files: tuple[FileRef, ...] = ()  # the cell names them, or they changed: without data, what is there is out of date
    folders: tuple[FolderList, ...] = ()  # the container has shown them, and they changed
    timeout_s: float | None = None
    number: int = 0  # the cell's number in the notebook, for its tracebacks; 0: it has none
    deferred_annotations: bool = False  # a cell has said `from __future__ import annotations`: it holds from then on
    may_draw: bool = False  # the cell may use the libraries' own random generators
    want_result: bool = True  # send the value of the last expression home
    shared_arena: bool = False  # the notebook reads the session's arena; else large buffers come home as blobs
    data_only: bool = False  # the notebook takes plain data alone; what is more stays, as a handle
    needed: tuple[str, ...] = ()  # of what comes along: without it the cell is not run


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
    beside: tuple[str, ...] = ()  # names that came home and share something with it: who uses one may change the other


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
    deferred_annotations: bool = False  # as in the request
    filename: str = ""  # that the cell's text was compiled under: what it left behind says where its lines are


RESULT_NAME: Final = "_cellburst_result"

# Under this name travel the states of the libraries' own random generators, which no name of the user's holds.
RANDOM_NAME: Final = "_cellburst_random"

# The variable that holds a notebook's `on_wake` functions by name. It travels and is kept like any other.
ON_WAKE_NAME: Final = "_cellburst_on_wake"

# The attribute of a container's shell by which the SDK in a cell asks the agent: called with a type and a content.
AGENT_DOOR: Final = "_cellburst_agent"
