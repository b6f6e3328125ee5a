"""The waiting magic, fed with what a channel would deliver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_ext.cell_run import _new_id
from jupyter_ext.desk import Desk
from jupyter_ext.handles import HandleTable
from jupyter_ext.notebook import facts, python_version
from jupyter_ext.outputs import Outputs
from jupyter_ext.pump import Pump
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.status import StatusLine
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.events import Event
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import Address
from kernel_bridge.errors import BuildFailed, NoCapacity, SessionLost
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.messages import IOPUB, SHELL, Message, new_header
from kernel_bridge.protocol.notes import PeerDown, PeerUp, Progress, Refused
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec, SessionState

CELL = Message(SHELL, new_header("execute_request", "s", msg_id="cell"), content={"code": "1"})


class Bench:
    """A session whose channel is never connected: the test puts in what arrives."""

    def __init__(self, shell: Any) -> None:
        control_plane = ControlPlane(Address("http://localhost:1"))
        spec = SessionSpec(notebook=facts({}, {}), image=ImageRecipe(python=python_version()))
        info = SessionInfo(id="ses_1", state=SessionState.OPEN, spec=spec)
        self.channel = Channel(control_plane, "ses_1")
        references = HandleTable(lambda info: None)
        self.session = RemoteSession(info, self.channel, shell.user_ns, references, control_plane)
        status = StatusLine(shell)
        self.pump = Pump(shell, self.session, Desk(self.session), status, Outputs(shell, status))

    def arrive(self, *events: Event) -> None:
        for event in events:
            self.channel.events.put(event)


def iopub(msg_type: str, parent: str = "cell", **content: Any) -> Message:
    return Message(IOPUB, new_header(msg_type, "s"), {"msg_id": parent}, {}, content)


def reply(**content: Any) -> Message:
    return Message(SHELL, new_header("execute_reply", "s"), {"msg_id": "cell"}, {}, content)


@pytest.fixture
def bench(shell: Any) -> Iterator[Bench]:
    made = Bench(shell)
    yield made
    made.channel.close()
    made.session.control_plane.close()


def test_every_line_of_a_loop_has_an_id_of_its_own(bench: Bench) -> None:
    """The first is called like the local cell; however many follow, no two are alike and all name it."""
    parent = {"msg_id": "local"}
    ids = []
    for _ in range(300):
        ids.append(_new_id(bench.session, parent))
        bench.session.remember_cell(ids[-1], parent)
    assert ids[0] == "local"
    assert len(set(ids)) == 300 and all(msg_id.startswith("local") for msg_id in ids)


def test_a_cell_is_done_when_its_reply_is_here(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything it printed came before; another cell's reply is not this one's."""
    done = reply(status="ok")
    other = Message(SHELL, new_header("execute_reply", "s"), {"msg_id": "other"}, {}, {"status": "ok"})
    bench.arrive(
        iopub("execute_input", code="", execution_count=1),
        iopub("stream", name="stdout", text="one "),
        other,
        iopub("stream", name="stdout", text="two"),
        done,
    )
    assert bench.pump.run(CELL) is done
    assert capsys.readouterr().out == "one two"
    assert bench.pump.cell_began


@pytest.mark.parametrize(("running", "began"), [((), False), (("cell",), True), (None, True)])
def test_a_container_that_ends_fails_the_cell(bench: Bench, running: tuple[str, ...] | None, began: bool) -> None:
    """With the reason; only a cell that surely had not reached the container may be sent again."""
    bench.arrive(PeerDown(why="it ran out of memory", final=True, running=running))
    with pytest.raises(SessionLost, match="it ran out of memory"):
        bench.pump.run(CELL)
    assert bench.pump.cell_began is began


def test_a_broken_connection_fails_nothing(bench: Bench) -> None:
    """The same container answers again, and the cell goes on."""
    bench.session.peer_up(PeerUp(stream="ctr_1", epoch="e"))
    bench.arrive(
        PeerDown(), PeerUp(stream="ctr_1", epoch="e"), reply(status="ok"), iopub("status", execution_state="idle")
    )
    assert bench.pump.run(CELL).content == {"status": "ok"}


def test_another_container_under_a_running_cell_fails_it(bench: Bench) -> None:
    """What ran in the first is gone."""
    bench.session.peer_up(PeerUp(stream="ctr_1", epoch="e"))
    bench.arrive(iopub("status", execution_state="busy"), PeerUp(stream="ctr_2", epoch="e"))
    with pytest.raises(SessionLost):
        bench.pump.run(CELL)
    assert bench.pump.cell_began


def test_waiting_for_a_container_ends_with_what_refuses_it(bench: Bench) -> None:
    """The control plane's error is raised as it is."""
    bench.arrive(Refused(code="no_capacity", detail="No H100 here."))
    with pytest.raises(NoCapacity, match="No H100 here"):
        bench.pump.wait_ready()


def test_a_failed_build_shows_its_last_lines(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The failing line stands under the cell."""
    bench.arrive(
        Progress(phase="building", line="collecting x"),
        Progress(phase="building", line="error: no x"),
        Refused(code="build_failed", detail="x could not be installed."),
    )
    with pytest.raises(BuildFailed):
        bench.pump.wait_ready()
    assert capsys.readouterr().err.splitlines() == ["collecting x", "error: no x"]


def test_another_namespace_makes_everything_unknown(bench: Bench) -> None:
    """Nothing of what was sent is there any more."""
    bench.session.namespace["a"] = [1]
    bench.session.peer_up(PeerUp(stream="ctr_1", epoch="e1"))
    bench.session.mirror.export(["a"])
    bench.session.peer_up(PeerUp(stream="ctr_2", epoch="e1"))
    assert bench.session.mirror.shared_names() == {"a"}
    bench.session.peer_up(PeerUp(stream="ctr_3", epoch="e2"))
    assert bench.session.mirror.shared_names() == set()
