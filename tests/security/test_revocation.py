"""A token that becomes worthless ends what stands open on it, wherever it was revoked."""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from kernel_bridge.client.channel import Channel
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import Address
from kernel_bridge.protocol.framing import note
from kernel_bridge.protocol.notes import Hello, Refused, Wake, Welcome, note_to_wire
from kernel_bridge.protocol.scopes import ADMIN
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.api.failures import POLICY_VIOLATION
from remote_runtime.clock import SystemClock
from remote_runtime.store import Store, sqlite_url
from tests.security.conftest import WAIT_S, House, hear, say


def test_a_revoked_token_hangs_up(house: House) -> None:
    """The notebook's channel is told why and closed, and the next attempt is refused; another token's goes on."""
    row, token = house.store.tokens.create("", owner="ada")
    other = house.token("ada")
    session_id, other_session = house.open_session(token, "one"), house.open_session(other, "two")
    with (
        house.dial(f"/v1/sessions/{session_id}/channel", token) as notebook,
        house.dial(f"/v1/sessions/{other_session}/channel", other) as bystander,
    ):
        for connection in (notebook, bystander):
            say(connection, Hello(protocol=PROTOCOL))
            hear(connection, Welcome)
        with house.http(other) as http:
            assert http.delete(f"/v1/tokens/{row.id}").status_code == 204
        said = hear(notebook, Refused)
        assert (said.code, "was revoked" in said.detail) == ("unauthorized", True)
        with pytest.raises(ConnectionClosed) as closed:
            notebook.recv(WAIT_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == POLICY_VIOLATION
        assert bystander.ping().wait(WAIT_S)


def test_revoking_in_another_process_and_expiring_hang_up_too(house: House, tmp_path: Path) -> None:
    """The database is what counts, not who wrote to it; a token that expires says so."""
    row, revoked = house.store.tokens.create("", owner="ada")
    expiring = house.token("ada", expires_at_s=time.time() + 3.0)
    elsewhere = Store.open(sqlite_url(house.directory / "store.sqlite3"), SystemClock(), tmp_path)
    for token, end, word in (
        (revoked, lambda: elsewhere.tokens.revoke(row.id), "was revoked"),
        (expiring, lambda: None, "has expired"),
    ):
        with house.dial(f"/v1/sessions/{house.open_session(token, word)}/channel", token) as notebook:
            say(notebook, Hello(protocol=PROTOCOL))
            hear(notebook, Welcome)
            end()
            assert word in hear(notebook, Refused).detail
    elsewhere.close()


def test_what_a_revoked_notebook_still_says_is_not_heard(house: House) -> None:
    """It asked for a container after its token had gone: none is started."""
    row, token = house.store.tokens.create("", owner="ada")
    session_id = house.open_session(token, "late")
    with house.dial(f"/v1/sessions/{session_id}/channel", token) as notebook:
        say(notebook, Hello(protocol=PROTOCOL))
        hear(notebook, Welcome)
        with house.http(house.token("ada")) as http:
            assert http.delete(f"/v1/tokens/{row.id}").status_code == 204
            with suppress(OSError):  # the other side was faster to close
                notebook.socket.sendall(_frame(note(note_to_wire(Wake()))))
            hear(notebook, Refused)
            with pytest.raises(ConnectionClosed):
                notebook.recv(WAIT_S)
            assert http.get(f"/v1/sessions/{session_id}").json()["container_id"] == ""


def test_the_channel_of_a_notebook_ends_with_a_reason(house: House) -> None:
    """The client stops trying, and what it hands the notebook says what to do."""
    row, token = house.store.tokens.create("", owner="ada")
    plane = ControlPlane(Address("http://localhost", token, str(house.path)))
    channel = Channel(plane, house.open_session(token, "channel")).start()
    try:
        assert isinstance(channel.events.get(timeout=WAIT_S), Welcome)
        house.store.tokens.revoke(row.id)
        refused = channel.events.get(timeout=WAIT_S)
        assert isinstance(refused, Refused) and "was revoked" in refused.detail and "%gpu_connect" in refused.detail
        channel._thread.join(WAIT_S)
        assert not channel.alive
        with pytest.raises(queue.Empty):
            channel.events.get(timeout=0.1)
    finally:
        channel.close()
        plane.close()


def test_a_stream_of_events_ends_with_its_token(house: House) -> None:
    """Whoever reads along is cut off."""
    row, token = house.store.tokens.create("", "read", owner="ada")
    with house.http(token) as http, http.stream("GET", "/v1/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) is not None
        house.store.tokens.revoke(row.id)
        for _line in lines:
            pass  # until the runtime ends it; the client's timeout is the deadline


def test_last_use_is_shown(house: House) -> None:
    """To its owner, and to nobody else."""
    row, token = house.store.tokens.create("seen", owner="eve")
    with house.http(token) as http:
        http.get("/v1/usage")
        (shown,) = http.get("/v1/tokens").json()
    assert shown["id"] == row.id and shown["last_used_at_s"] >= shown["created_at_s"]


def test_a_container_is_not_cut_off_by_people(house: House) -> None:
    """A container's token is no person's to list or to revoke, not even an admin's."""
    token = house.token("ada")
    container_id, own = house.container(token, house.open_session(token, "shut"))
    (row,) = [row for row in _all_tokens(house) if row["name"] == container_id]
    with house.http(house.token("root", ADMIN)) as http:
        assert container_id not in http.get("/v1/tokens", params={"owner": "*"}).text
        assert http.delete(f"/v1/tokens/{row['id']}").status_code == 404
    with house.http(own) as http:
        assert http.post("/v1/blobs/missing", json={"digests": []}).status_code == 200


def _all_tokens(house: House) -> list[dict[str, object]]:
    with house.store.database.reading() as connection:
        found = connection.exec_driver_sql("SELECT id, name FROM tokens").mappings()
        return [dict(row) for row in found]


def _frame(payload: bytes) -> bytes:
    """Return a masked binary websocket frame: what a client that ignores the closing handshake sends."""
    return bytes([0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload
