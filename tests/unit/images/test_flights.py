"""One build for all who ask."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from remote_runtime.images.flights import Flights, exclusive
from remote_runtime.images.uv import Progress


def test_many_askers_share_one_piece_of_work() -> None:
    """Whoever comes later hears the lines from the beginning."""

    async def story() -> None:
        flights, runs, gate = Flights(), [], asyncio.Event()

        async def work(say: Progress) -> None:
            runs.append(1)
            say("one")
            await gate.wait()
            say("two")

        first: list[str] = []
        later: list[str] = []
        one = asyncio.create_task(flights.join("k", work, first.append))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        two = asyncio.create_task(flights.join("k", work, later.append))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(one, two)
        assert (len(runs), first, later) == (1, ["one", "two"], ["one", "two"])
        assert "k" not in flights

    asyncio.run(story())


def test_an_asker_that_leaves_does_not_end_the_work() -> None:
    """The others still get it."""

    async def story() -> None:
        flights, gate, done = Flights(), asyncio.Event(), []

        async def work(say: Progress) -> None:
            await gate.wait()
            done.append(1)

        leaver = asyncio.create_task(flights.join("k", work, print))
        stayer = asyncio.create_task(flights.join("k", work, print))
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        gate.set()
        await stayer
        assert done == [1]

    asyncio.run(story())


def test_all_askers_get_the_failure_and_the_next_one_tries_again() -> None:
    """A failure is not kept."""

    async def story() -> None:
        flights, runs = Flights(), []

        async def work(say: Progress) -> None:
            runs.append(1)
            await asyncio.sleep(0)
            raise ValueError("no")

        asked = [flights.join("k", work, print) for _ in range(2)]
        assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [ValueError] * 2
        with pytest.raises(ValueError, match="no"):
            await flights.join("k", work, print)
        assert len(runs) == 2

    asyncio.run(story())


def test_a_listener_that_fails_is_dropped() -> None:
    """The work goes on for the others."""

    async def story() -> None:
        heard: list[str] = []

        async def work(say: Progress) -> None:
            say("one")
            say("two")

        def broken(line: str) -> None:
            heard.append(line)
            raise RuntimeError(line)

        await Flights().join("k", work, broken)
        assert heard == ["one"]

    asyncio.run(story())


def test_the_lock_holds_between_processes(tmp_path: Path) -> None:
    """Another process waits, and its death lets go."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print('held',flush=True); input()",
            str(tmp_path / "a.lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    async def held() -> bool:
        try:
            async with asyncio.timeout(0.2), exclusive(tmp_path / "a.lock"):
                return False
        except TimeoutError:
            return True

    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert asyncio.run(held())
        holder.kill()
    assert not asyncio.run(held())
