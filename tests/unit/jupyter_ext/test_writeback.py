"""What a cell left behind, brought into a namespace: the far side here is a second mirror in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_ext.arguments import CellOptions
from jupyter_ext.handles import HandleTable
from jupyter_ext.notebook import facts, python_version
from jupyter_ext.prefetch import capture
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.shipment import CellTerms, Shipment, export, pack
from jupyter_ext.writeback import Homecoming, bring_home
from kernel_bridge.capture.handle import Handle
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.codecs.hashing import digest
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender, pack_units, unpack_unit
from kernel_bridge.config import Address
from kernel_bridge.errors import CannotTravel
from kernel_bridge.protocol.cells import RESULT_NAME, CellReply, CellRequest, FileRef, HandleHead
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec, SessionState
from kernel_bridge.protocol.wire import from_wire, to_wire

TERMS = CellTerms(writeback_limit_bytes=1 << 20)


class Pair:
    """A notebook, and the namespace of a container it speaks with."""

    def __init__(self, shell: Any, folder: Path) -> None:
        self.shell = shell
        self.names = shell.user_ns
        control_plane = ControlPlane(Address("http://localhost:1"))
        spec = SessionSpec(notebook=facts({}, {}), image=ImageRecipe(python=python_version()))
        info = SessionInfo(id="ses_1", state=SessionState.OPEN, spec=spec)
        references = HandleTable(lambda info: None)
        channel = Channel(control_plane, "ses_1")
        self.session = RemoteSession(info, channel, self.names, references, control_plane)
        self.session.use_folder(str(folder))
        self.far: dict[str, Any] = {}
        self.far_mirror = Mirror(self.far, references=ReferenceTable(session="ses_1"))

    def close(self) -> None:
        self.session.channel.close()
        self.session.control_plane.close()

    def ship(self, code: str, **options: Any) -> Shipment:
        """Send a cell's names over."""
        cell = capture(self.shell, code, CellOptions(**options))
        sent = pack(self.session, cell, export(self.session, cell), CellOptions(**options), TERMS)
        request = from_wire(CellRequest, json.loads(json.dumps(to_wire(sent.request))))
        source = BufferReceiver()
        self.far_mirror.accept([unpack_unit(head, sent.buffers, source) for head in request.units])
        return sent

    def run(self, code: str, *changed: str, meanwhile: str = "", **reply: Any) -> Homecoming:
        """Ship what the code reads, run it over there, and bring the changed names home."""
        sent = self.ship(code)
        exec(code, self.far)
        sender = BufferSender()
        heads = pack_units(self.far_mirror.export(changed).units, sender)
        exec(meanwhile, self.names)
        return bring_home(self.session, CellReply(epoch="e", units=heads, **reply), sender.inline, sent.before)


@pytest.fixture
def pair(shell: Any, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(shell, tmp_path)
    yield made
    made.close()


def test_changes_land_in_the_objects_that_are_here(pair: Pair) -> None:
    """Other references to them see the change; new names appear."""
    pair.shell.run_cell("a = [1]; b = a; import numpy as np; x = np.arange(4.); v = x[1:]").raise_error()
    a, x = pair.names["a"], pair.names["x"]
    pair.run("b.append(2); v[0] = 9; c = {'a': a}; x", "a", "b", "x", "v", "c")
    assert (a, pair.names["b"] is a, pair.names["c"]["a"] is a) == ([1, 2], True, True)
    assert pair.names["x"] is x
    assert np.array_equal(x, [0, 9, 2, 3])
    assert np.shares_memory(pair.names["v"], x)


def test_what_is_unchanged_is_not_shipped_twice(pair: Pair) -> None:
    """The second cell carries no value and no manifest."""
    pair.shell.run_cell("a = [1]; s = 'text'").raise_error()
    assert pair.ship("a, s").size_bytes > 0
    again = pair.ship("a, s")
    assert (again.size_bytes, again.request.manifest.available) == (0, ())
    assert set(again.request.may_change) == {"a", "s"}


def test_a_name_that_changed_here_meanwhile_is_kept(pair: Pair) -> None:
    """Both values stay; one line says so."""
    pair.shell.run_cell("a = [1]").raise_error()
    home = pair.run("a.append(2)", "a", meanwhile="a = 'mine'")
    assert (pair.names["a"], pair.names["a__remote"]) == ("mine", [1, 2])
    assert home.notices == ["a changed here too while the cell ran: the remote value is a__remote."]


def test_deleted_names_go_unless_they_changed_here(pair: Pair) -> None:
    """`del` in a cell is `del` in the notebook."""
    pair.shell.run_cell("a = [1]; b = [2]").raise_error()
    home = pair.run("a, b\ndel a, b", deleted=("a", "b"), meanwhile="b = 'mine'")
    assert "a" not in pair.names
    assert pair.names["b"] == "mine"
    assert len(home.notices) == 1


def test_large_values_come_home_as_handles(pair: Pair) -> None:
    """The name is bound to a stand-in, which the next cell does not ship."""
    head = HandleHead(key="k1", name="model", type="torch.nn.Sequential", size_bytes=3_200_000_000, device="cuda:0")
    pair.run("1", handles=(head,))
    assert type(pair.names["model"]) is Handle
    assert repr(pair.names["model"]) == "<model: torch.nn.Sequential, 3.2 GB on cuda:0, remote>"
    sent = pair.ship("model")
    assert (sent.request.units, sent.request.manifest.available) == ((), ())
    assert sent.request.may_change == ("model",)


def test_the_result_is_a_value_and_no_name(pair: Pair) -> None:
    """It shares what it shares with the names that came home."""
    home = pair.run(f"a = [1]; {RESULT_NAME} = a", "a", RESULT_NAME, result="unit")
    assert home.has_value
    assert home.value is pair.names["a"]
    assert RESULT_NAME not in pair.names


def test_a_result_that_stayed_is_its_handle(pair: Pair) -> None:
    """`Out[n]` holds the stand-in."""
    home = pair.run("1", handles=(HandleHead(key="k", name=RESULT_NAME, type="list"),), result="handle")
    assert type(home.value) is Handle
    assert RESULT_NAME not in pair.names


def test_a_handle_that_is_gone_is_released_with_the_next_cell(pair: Pair) -> None:
    """The container may free the value."""
    pair.run("1", handles=(HandleHead(key="k1", name="model", type="list"),))
    pair.names["model"] = None
    assert pair.ship("1").request.release == ("k1",)


def test_a_name_the_cell_needs_must_be_able_to_travel(pair: Pair) -> None:
    """It is named with the path inside the object; nothing is sent."""
    pair.shell.run_cell("box = {'inner': [(n for n in ())]}").raise_error()
    with pytest.raises(CannotTravel, match="inner"):
        pair.ship("box")


def test_a_name_the_cell_rebinds_need_not_travel(pair: Pair) -> None:
    """`f = open(...)` again is no reason to stop."""
    pair.shell.run_cell("lock = (n for n in ())").raise_error()
    assert pair.ship("lock = 1\nlock").request.units == ()


def test_files_come_home_beside_names(pair: Pair, tmp_path: Path) -> None:
    """What the cell wrote lies in the notebook's folder."""
    sender = BufferSender()
    ref = FileRef(path="out.txt", size_bytes=2, digest=digest(b"hi"), data=sender.put(b"hi"))
    reply = CellReply(epoch="e", files=(ref,))
    home = bring_home(pair.session, reply, sender.inline, dict(pair.names))
    assert (home.files, (tmp_path / "out.txt").read_text()) == (["out.txt"], "hi")


def test_a_file_the_cell_names_is_shipped_once(pair: Pair, tmp_path: Path) -> None:
    """Until it changes here."""
    file = tmp_path / "in.csv"
    file.write_text("1")
    assert pair.ship("reader.read('in.csv')").files == ("in.csv",)
    assert pair.ship("reader.read('in.csv')").files == ()
    file.write_text("22")
    assert pair.ship("reader.read('in.csv')").files == ("in.csv",)
