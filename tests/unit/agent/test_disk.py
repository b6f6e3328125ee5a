"""When a cell has to end for what it writes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from kernel_bridge.protocol.containers import ContainerConfig, Mount
from remote_runtime.agent.disk import DiskLimits, DiskWatch, Use, folders_of, judge, measure, reserve_of

MIB = 1 << 20
LIMITS = DiskLimits(budget_bytes=100 * MIB, reserve_bytes=50 * MIB)


@pytest.mark.parametrize(
    ("total", "fresh", "free", "said"),
    [
        (10, 10, 500, ""),
        (101, 20, 500, "its session's files take 101 MiB of disk: limit 100 MiB, 20 MiB of it written by this cell"),
        (101, 0, 500, ""),  # it tidies up
        (30, 20, 40, "the disk ran full: 40 MiB free, 50 MiB has to stay; this cell wrote 20 MiB"),
        (30, 0, 40, ""),  # others filled it
    ],
)
def test_a_cell_ends_for_what_it_wrote_itself(total: int, fresh: int, free: int, said: str) -> None:
    """The cause names limit and use; a cell that writes nothing may go on, whatever the disk looks like."""
    use = Use(total_bytes=total * MIB, fresh_bytes=fresh * MIB)
    assert judge(use, LIMITS, free_bytes=free * MIB, reserve_bytes=50 * MIB).startswith(said)
    assert bool(said) == bool(judge(use, LIMITS, free_bytes=free * MIB, reserve_bytes=50 * MIB))


def test_zero_is_no_limit() -> None:
    """Neither a budget nor a reserve: nothing ends a cell."""
    use = Use(total_bytes=1 << 50, fresh_bytes=1 << 50)
    assert judge(use, DiskLimits(budget_bytes=0, reserve_bytes=0), free_bytes=0, reserve_bytes=0) == ""


def test_a_small_disk_keeps_half() -> None:
    """Else nothing could ever be written on it."""
    assert reserve_of(100 * MIB, 1 << 30) == 50 * MIB
    assert reserve_of(1 << 40, 1 << 30) == 1 << 30


def test_files_are_counted_once_and_by_what_they_take(tmp_path: Path) -> None:
    """Hard links once, holes not at all, links to elsewhere not followed, old files not as fresh."""
    (tmp_path / "old").write_bytes(bytes(2 * MIB))
    began_s = time.time() + 1000
    os.utime(tmp_path / "old", (0, 0))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "again").hardlink_to(tmp_path / "old")
    (tmp_path / "elsewhere").symlink_to("/usr")
    with (tmp_path / "hole").open("wb") as hole:
        hole.truncate(1 << 40)
    use = measure([tmp_path], began_s)
    assert 2 * MIB <= use.total_bytes < 3 * MIB
    assert use.fresh_bytes == 0
    assert measure([tmp_path], 0.0).fresh_bytes == use.total_bytes


def test_a_deleted_file_that_is_open_counts(tmp_path: Path) -> None:
    """It takes its space until it is closed."""
    before = measure([tmp_path], 0.0)
    with (tmp_path / "gone").open("wb") as gone:
        gone.write(bytes(4 * MIB))
        gone.flush()
        (tmp_path / "gone").unlink()
        assert measure([tmp_path], 0.0).total_bytes - before.total_bytes >= 4 * MIB


def test_the_session_and_its_writable_volumes_are_watched(tmp_path: Path) -> None:
    """Not what it may only read."""
    config = ContainerConfig(
        container_id="c", session_id="s", epoch="e", control_url="", token="", python="",
        work_dir=str(tmp_path / "session" / "work"),
        mounts=(
            Mount(source=str(tmp_path / "data"), target="/data"),
            Mount(source=str(tmp_path / "models"), target="/models", read_only=True),
        ),
    )  # fmt: skip
    beside = {tmp_path / "session" / name for name in ("state", "modules", "run", "tmp", "home")}
    assert {*folders_of(config)} == {tmp_path / "session" / "work", *beside, tmp_path / "data"}


def test_the_watch_ends_a_cell_that_goes_over(tmp_path: Path) -> None:
    """Once, with its cause; before a cell begins and after it ended nobody looks."""
    said: list[str] = []

    async def story() -> None:
        over = asyncio.Event()

        def heard(why: str) -> None:
            said.append(why)
            over.set()

        watch = DiskWatch([tmp_path], DiskLimits(budget_bytes=MIB, reserve_bytes=0), heard)
        task = asyncio.create_task(watch.run())
        watch.cell_began()
        (tmp_path / "big").write_bytes(bytes(3 * MIB))
        async with asyncio.timeout(30):
            await over.wait()
        task.cancel()

    asyncio.run(story())
    assert len(said) == 1
    assert "limit 1 MiB" in said[0]
