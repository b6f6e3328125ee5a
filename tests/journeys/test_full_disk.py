"""A data directory whose disk is full: what a person is told, what is kept, and that it goes on when there is room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.client.blobs import HttpBlobs
from kernel_bridge.errors import CellburstError
from tests.journeys.broken import LINES, PRINTED, Fault, Notebook, check_bill, notebook, suffer, wait_for

__all__ = ["notebook"]

DISK_MB = 192

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk"),
]


@pytest.fixture(autouse=True)
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the data, mounted before the notebook is there."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "none", data], check=True)
    yield data
    subprocess.run(["umount", "--lazy", data], check=True)


@pytest.fixture
def notebook_here(small_disk: Path, notebook: Notebook) -> Notebook:
    """The notebook, on the small disk."""
    return notebook


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk to its last byte."""
    filler = disk / "filler"
    fill(filler)
    try:
        yield
    finally:
        filler.unlink()


def fill(filler: Path) -> None:
    """Write until there is no room."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


def test_a_cell_goes_on_without_a_disk(
    notebook_here: Notebook, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its output arrives, what the control plane could not write down is written later, the bill is whole."""
    filler = small_disk / "filler"
    room = threading.Timer(2.0, filler.unlink)

    def strike(_notebook: Notebook) -> None:
        fill(filler)
        room.start()

    outcome = suffer(notebook_here, Fault("disk full", strike), capsys)
    room.join()
    assert outcome.result.success
    assert outcome.printed == PRINTED
    assert notebook_here.names["last"] == LINES - 1
    assert notebook_here.run("after = 2").success
    check_bill(notebook_here, outcome)


def test_state_that_cannot_be_saved_stays(notebook_here: Notebook, small_disk: Path) -> None:
    """The container is kept and says why; when there is room again it hibernates with everything."""
    assert notebook_here.run("big = b'x' * 5_000_000\n").success
    assert notebook_here.run("import os\nkept = open('/dev/null')\nremote = [os.getpid()]").success
    supervisor = notebook_here.supervisor()
    with notebook_here.plane() as plane:
        [session] = plane.sessions()
        with full(small_disk), contextlib.suppress(CellburstError):
            plane.stop_session(session.id)
        wait_for(lambda: plane.sessions()[0].container_id != "", "it was let go")
        assert notebook_here.supervisor() == supervisor
        assert plane.stop_session(session.id).state == "hibernated"
    assert notebook_here.run("same = len(big)").success
    assert notebook_here.names["same"] == 5_000_000


def test_gpu_stop_without_room_says_why(
    notebook_here: Notebook, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, no traceback of ours; the session goes on, and is saved once there is room."""
    assert notebook_here.run("big = b'x' * 5_000_000\nkept = [1]").success
    supervisor = notebook_here.supervisor()
    capsys.readouterr()
    with full(small_disk):
        notebook_here.shell.run_cell("%gpu_stop")
        said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "space" in said.out + said.err, said
    wait_for(lambda: notebook_here.supervisor() == supervisor, "it was let go")
    assert notebook_here.run("kept.append(2)\nsame = len(big)").success
    assert (notebook_here.names["kept"], notebook_here.names["same"]) == ([1, 2], 5_000_000)


def test_a_container_that_ends_on_a_full_disk_is_billed(
    notebook_here: Notebook, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exit cannot be written: it ends when it was last heard of, and the next cell works once there is room."""
    filler = small_disk / "filler"

    def strike(broken: Notebook) -> None:
        fill(filler)
        os.kill(broken.agent(), 9)

    fault = Fault("exit on a full disk", strike, says="", ends="container")
    threading.Timer(6.0, filler.unlink).start()
    outcome = suffer(notebook_here, fault, capsys)
    assert type(outcome.result.error_in_exec).__name__ == "SessionLost"
    wait_for(lambda: not filler.exists(), "there is no room")
    assert notebook_here.run("after = 2").success
    check_bill(notebook_here, outcome)


def test_a_blob_without_room_is_refused_in_words(notebook_here: Notebook, small_disk: Path) -> None:
    """The upload fails with the reason, nothing of it stays, and it works when there is room."""
    with notebook_here.plane() as plane:
        blobs = HttpBlobs(plane)
        with pytest.raises(CellburstError) as refused:
            blobs.put(bytes(DISK_MB << 20))
        assert "\n" not in str(refused.value).strip()
        assert "space" in str(refused.value) or "full" in str(refused.value)
        wait_for(lambda: not list((small_disk / "blobs" / "incoming").iterdir()), "a part of it stayed")
        digest = blobs.put(b"small enough")
        assert bytes(blobs.get(digest, 12)) == b"small enough"
        blobs.close()
