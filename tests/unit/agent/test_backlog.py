"""What the agent keeps for a notebook that is slow or away."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.protocol.framing import open_envelope
from remote_runtime.agent.backlog import SEGMENT_BYTES, Backlog


def kept(backlog: Backlog, after: int = 0) -> list[tuple[int, bytes]]:
    """Return what it would send again, with the numbers."""
    return [(open_envelope(data)[1], bytes(open_envelope(data)[2])) for data in backlog.after(after)]


def test_the_newest_go_to_a_file(tmp_path: Path) -> None:
    """Beyond the memory's limit messages lie in a nameless file; they come back in order, and the file goes."""
    backlog = Backlog([str(tmp_path)], memory_bytes=1000, disk_bytes=10_000)
    for number in range(50):
        backlog.push([f"{number:0100}".encode()])
    assert kept(backlog) == [(number + 1, f"{number:0100}".encode()) for number in range(50)]
    assert list(tmp_path.iterdir()) == []
    backlog.acknowledge(49)
    assert kept(backlog) == [(50, f"{49:0100}".encode())]
    backlog.acknowledge(50)
    assert (backlog.waiting, backlog.waiting_bytes) == (0, 0)


def test_it_is_full_sooner_for_a_notebook_that_is_here(tmp_path: Path) -> None:
    """One that is connected is waited for; one that is away has the disk, too. Room is said when half is free."""
    backlog = Backlog([str(tmp_path)], memory_bytes=1000, disk_bytes=1000)
    for _ in range(11):
        backlog.push([b"x" * 100])
    assert not backlog.is_full(reader_here=False)
    assert backlog.is_full(reader_here=True)
    for _ in range(10):
        backlog.push([b"x" * 100])
    assert backlog.is_full(reader_here=False)
    backlog.acknowledge(15)
    assert backlog.is_full(reader_here=True)
    backlog.acknowledge(17)
    assert not backlog.is_full(reader_here=True)
    backlog.close()


def test_a_notebook_that_never_quite_catches_up_does_not_fill_the_disk(tmp_path: Path) -> None:
    """What was acknowledged takes no room, however long something else waits."""
    backlog = Backlog([str(tmp_path)], memory_bytes=1000, disk_bytes=SEGMENT_BYTES)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(1, 200):
        backlog.push([b"x" * (1 << 20)])
        backlog.acknowledge(number - 2)
    assert kept(backlog) == [(198, b"x" * (1 << 20)), (199, b"x" * (1 << 20))]
    assert sum(segment.end for segment in backlog._segments) <= 2 * SEGMENT_BYTES
    backlog.acknowledge(199)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_without_a_file_the_memory_is_all_there_is() -> None:
    """Where no folder takes a file nothing is lost either: whoever writes waits earlier."""
    backlog = Backlog(["/nowhere"], memory_bytes=1000, disk_bytes=10**9)
    for _ in range(20):
        backlog.push([b"x" * 100])
    assert backlog.is_full(reader_here=False)
    assert len(kept(backlog)) == 20


@given(st.lists(st.tuples(st.sampled_from(["push", "acknowledge"]), st.integers(0, 400)), max_size=80))
def test_nothing_is_lost_or_changed_on_the_way_through_the_file(steps: list[tuple[str, int]]) -> None:
    """Whatever is added and acknowledged in whatever order, what is kept is what was not acknowledged."""
    backlog, model = Backlog(["/tmp"], memory_bytes=500, disk_bytes=5000), dict[int, bytes]()
    for step, number in steps:
        if step == "push":
            backlog.push([body := bytes([number % 256]) * number])
            model[backlog.last] = body
        else:
            backlog.acknowledge(number % (backlog.last + 1))
            model = {seq: body for seq, body in model.items() if seq > number % (backlog.last + 1)}
        assert kept(backlog) == list(model.items())
    backlog.close()
