"""The routes of sessions and of the runtime: who may use them, what they answer, how they refuse."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, event
from starlette.testclient import WebSocketDenialResponse

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.scopes import ADMIN
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec
from kernel_bridge.protocol.version import PROTOCOL
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.app import create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.process import ProcessProvider
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url

LEFT: list[str] = []
WALLED = "sandboxed" if os.geteuid() == 0 else "confined"


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient]:
    """Return a client of a whole control plane, with a person's token."""
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    _, token = store.tokens.create("test", ADMIN)
    settings = Settings(data_dir=tmp_path / "data", runtime_dir=tmp_path / "run")
    arena = ArenaRoot(path=tmp_path / "arena", kind="files")
    plane = create_plane(settings, store, arena, control_url="unix:/nowhere", leave=lambda: LEFT.append("left"))
    with TestClient(plane.app, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client
    store.close()


def session_spec(gpu: str = "A100") -> SessionSpec:
    return SessionSpec(notebook=Notebook(kernel_id="k", python="3.11"), image=ImageRecipe(python="3.11"), gpu=gpu)


def test_anyone_may_ask_whether_somebody_answers(http: TestClient) -> None:
    """And learns nothing else; every other route wants a token."""
    nobody = {"Authorization": "Bearer nonsense"}
    assert http.get("/healthz", headers=nobody).json() == {"status": "ok"}
    for path in ("/v1/runtime", "/v1/sessions", "/v1/images"):
        assert http.get(path, headers=nobody).status_code == 401


def test_the_runtime_says_what_it_is(http: TestClient) -> None:
    """Protocol, isolation with the line that mends it, cards, prices."""
    said = http.get("/v1/runtime").json()
    assert (said["protocol"], said["isolation"], said["cards"]) == (PROTOCOL, WALLED, [])
    assert bool(said["mend"]) == (WALLED != "sandboxed")
    assert said["price_table"].startswith("prices.toml of ")


def test_a_card_is_simulated_on_demand(http: TestClient) -> None:
    """Without it the card is refused with what is there; with it the session says simulated."""
    refused = http.post("/v1/sessions", json=to_wire(session_spec()))
    assert (refused.status_code, refused.json()["code"]) == (503, "no_capacity")
    assert "this host has no cards" in refused.json()["detail"]
    for _ in range(2):
        cards = http.post("/v1/runtime/simulate", json={"cards": "A100:2"}).json()["cards"]
        assert cards == [{"card": "A100", "total": 2, "free": 2, "simulated": True}]
    assert http.post("/v1/sessions", json=to_wire(session_spec())).json()["simulated"] is True
    assert http.post("/v1/runtime/simulate", json={"cards": "any"}).json()["code"] == "bad_option"


def test_a_session_is_opened_found_pinned_and_reset(http: TestClient) -> None:
    """Each answer is the session as it is then."""
    opened = from_wire(SessionInfo, http.post("/v1/sessions", json=to_wire(session_spec("cpu"))).json())
    path = f"/v1/sessions/{opened.id}"
    assert [one["id"] for one in http.get("/v1/sessions").json()] == [opened.id]
    assert http.post(f"{path}/pin", json={"until_s": 2e9}).json()["pinned_until_s"] == 2e9
    assert http.post(f"{path}/stop").json()["state"] == "open"
    assert http.get(f"{path}/cells").json() == []
    assert http.delete(path).json()["state"] == "closed"
    assert http.get("/v1/sessions").json() == []
    assert http.get("/v1/sessions/ses_none").status_code == 404


def test_a_channel_wants_a_token_and_a_session(http: TestClient) -> None:
    """Turned away before the handshake, with the same body as a request."""
    for path, status in (("/v1/sessions/ses_none/channel", 404), ("/v1/agents/channel", 403)):
        with pytest.raises(WebSocketDenialResponse) as refused, http.websocket_connect(path):
            pass
        assert refused.value.status_code == status


def test_nobody_waits_for_the_database_on_the_event_loop(http: TestClient) -> None:
    """It may be far away or slow: whoever is asked for meanwhile answers all the same, the door first of all."""
    on_loop: list[str] = []
    path = "/none"

    def begins(_connection: Connection) -> None:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            on_loop.append(path)

    event.listen(Engine, "begin", begins)
    try:
        session = http.post("/v1/sessions", json=to_wire(session_spec("cpu"))).json()["id"]
        for path in _reading_routes(http.app, session):
            assert http.get(path).status_code in (200, 404)
        path = "the channel"
        with http.websocket_connect(f"/v1/sessions/{session}/channel"):
            pass
    finally:
        event.remove(Engine, "begin", begins)
    assert on_loop == []


def _reading_routes(app: Any, session: str) -> list[str]:
    """Return a path for every route that answers a GET; that of events has no end."""
    params = {"session_id": session, "digest": "0" * 64, "name": "none", "path": "none"}
    described = [path for path, verbs in app.openapi()["paths"].items() if "get" in verbs]
    found = [re.sub(r"{(\w+)}", lambda match: params[match[1]], path) for path in described]
    assert len(found) > 15
    return [path for path in found if path != "/v1/events"]


def test_a_stop_saves_answers_and_leaves(http: TestClient) -> None:
    """The answer comes before the end."""
    LEFT.clear()
    assert http.post("/v1/runtime/stop").json() == {"status": "stopped"}
    assert LEFT == ["left"]


def test_the_process_provider_is_the_default(tmp_path: Path) -> None:
    """It needs nothing but this machine."""
    made = ProcessProvider(data_dir=tmp_path, runtime_dir=tmp_path, inventory=Inventory(), env={}, clock=SystemClock())
    assert (made.name, made.ground.isolation) == ("process", WALLED)


def test_what_nobody_needs_can_be_removed_now(http: TestClient, tmp_path: Path) -> None:
    """A dry run tells the same and removes nothing."""
    left = tmp_path / "data" / "sessions" / "ses_0123456789abcdef"
    left.mkdir(parents=True)
    os.utime(left, (1_000, 1_000))
    for dry_run, there in ((True, True), (False, False)):
        [removed] = http.post("/v1/runtime/prune", json={"dry_run": dry_run}).json()["removed"]
        assert (removed["kind"], removed["name"], left.exists()) == ("session", left.name, there)
    assert http.post("/v1/runtime/prune", json={}).json() == {"removed": []}
