"""The routes over the store: who may use them, what they take, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from kernel_bridge.errors import HTTP_STATUS
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.scopes import OWNER
from kernel_bridge.protocol.sessions import Notebook, SessionSpec, VolumeMount
from remote_runtime.api import failures
from remote_runtime.api.auth import Gate, principal_of
from remote_runtime.api.routes import blobs, secrets, tokens, usage, volumes
from remote_runtime.api.watch import Watch
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import load_prices
from remote_runtime.clock import SystemClock
from remote_runtime.secrets.master_key import GivenKey, fresh_key
from remote_runtime.secrets.service import Secrets
from remote_runtime.store import Store, sqlite_url
from remote_runtime.store.tokens import container_scope
from remote_runtime.volumes.service import Volumes

BLOB_LIMIT_BYTES = 3 << 20
HELLO = blake3(b"hello").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def app(store: Store, tmp_path: Path) -> FastAPI:
    made, gate, clock = FastAPI(), Gate(store.tokens), SystemClock()
    made.include_router(blobs.router(store, gate, BLOB_LIMIT_BYTES))
    made.include_router(secrets.router(store, Secrets(store.secrets, GivenKey(fresh_key())), gate))
    made.include_router(tokens.router(store, gate, Watch(store, clock), clock))
    made.include_router(usage.router(store, Accounts(store, clock), load_prices(), gate))
    made.include_router(volumes.router(store, Volumes(store.volumes, tmp_path / "volumes"), load_prices(), gate))
    failures.install(made)

    @made.get("/broken", dependencies=[Depends(gate.person)])
    def broken() -> None:
        raise RuntimeError("the inside of the runtime")

    @made.get("/number")
    def number(n: int) -> int:
        return n

    @made.websocket("/agent")
    async def agent(socket: WebSocket, _: object = Depends(gate.container)) -> None:
        await socket.accept()
        await socket.send_text(principal_of(socket).container_id)
        await socket.close()

    return made


def client(app: FastAPI, token: str = "") -> TestClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, headers=headers, raise_server_exceptions=False)


@pytest.fixture
def person(app: FastAPI, store: Store) -> TestClient:
    return client(app, store.tokens.create("test")[1])


@pytest.fixture
def agent(app: FastAPI, store: Store) -> TestClient:
    return client(app, store.tokens.create("agent", container_scope("ctr_1"))[1])


ROUTES = [
    ("GET", "/v1/volumes"),
    ("PUT", "/v1/volumes/v"),
    ("GET", "/v1/volumes/v"),
    ("DELETE", "/v1/volumes/v"),
    ("GET", "/v1/volumes/v/files"),
    ("GET", "/v1/volumes/v/files/a"),
    ("PUT", "/v1/volumes/v/files/a"),
    ("DELETE", "/v1/volumes/v/files/a"),
    ("POST", "/v1/volumes/v"),
    ("GET", "/v1/volumes/v/content/a"),
    ("POST", "/v1/volumes/v/copy"),
    ("POST", "/v1/volumes/v/pack"),
    ("GET", "/v1/volumes/v/pack"),
    ("POST", "/v1/volumes/v/uploads"),
    ("PUT", "/v1/volumes/v/uploads/u/0"),
    ("POST", "/v1/volumes/v/uploads/u"),
    ("DELETE", "/v1/volumes/v/uploads/u"),
    ("DELETE", "/v1/volumes/v/versions/1"),
    ("GET", "/v1/secrets"),
    ("PUT", "/v1/secrets/s"),
    ("DELETE", "/v1/secrets/s"),
    ("POST", "/v1/secrets/rekey"),
    ("GET", "/v1/tokens"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/t"),
    ("GET", "/v1/usage"),
]
VERSION_ROUTES = [("GET", "/v1/volumes/v/versions"), ("POST", "/v1/volumes/v/versions")]
BLOB_ROUTES = [("POST", "/v1/blobs/missing"), *((verb, f"/v1/blobs/{HELLO}") for verb in ("GET", "PUT", "HEAD"))]


@pytest.mark.parametrize(("method", "path"), ROUTES + VERSION_ROUTES + BLOB_ROUTES)
@pytest.mark.parametrize("header", [None, "Bearer cb_wrong", "Bearer ", "Basic cb_x", "Bearer \xff"])
def test_no_route_opens_without_a_good_token(app: FastAPI, method: str, path: str, header: str | None) -> None:
    """The reply says what to do and nothing else."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    reply = client(app).request(method, path, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    if method != "HEAD":
        assert reply.json()["code"] == "unauthorized"
        assert "%gpu_connect" in reply.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_containers_token_opens_no_persons_route(agent: TestClient, method: str, path: str) -> None:
    """User code that finds its container's token gains blobs, which it can name only by their hash."""
    reply = agent.request(method, path)
    assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


def test_every_route_is_in_these_tests(app: FastAPI) -> None:
    """A new route cannot be forgotten here."""
    paths = app.openapi()["paths"]
    assert sum(len(paths[path]) for path in paths if path.startswith("/v1/")) == len(
        ROUTES + VERSION_ROUTES + BLOB_ROUTES
    )


def test_an_agent_moves_blobs(agent: TestClient) -> None:
    """Put, asked for, fetched."""
    other = "0" * 64
    assert agent.post("/v1/blobs/missing", json={"digests": [HELLO, other]}).json() == {"missing": [HELLO, other]}
    assert agent.put(f"/v1/blobs/{HELLO}", content=b"hello").json() == {"digest": HELLO, "size_bytes": 5}
    assert agent.post("/v1/blobs/missing", json={"digests": [HELLO, other]}).json() == {"missing": [other]}
    assert agent.get(f"/v1/blobs/{HELLO}").content == b"hello"
    assert agent.head(f"/v1/blobs/{HELLO}").headers["content-length"] == "5"
    assert agent.get(f"/v1/blobs/{other}").status_code == 404


def test_a_large_blob_is_streamed(person: TestClient) -> None:
    """Several batches in, several pieces out."""
    data = bytes(range(256)) * (BLOB_LIMIT_BYTES // 256)
    digest = blake3(data).hexdigest()
    pieces = (data[start : start + 100_000] for start in range(0, len(data), 100_000))
    assert person.put(f"/v1/blobs/{digest}", content=pieces).status_code == 201
    assert person.get(f"/v1/blobs/{digest}").content == data


@pytest.mark.parametrize(
    ("digest", "content", "code"),
    [
        ("0" * 64, b"other bytes", "bad_request"),
        ("nothing", b"", "bad_request"),
        (HELLO, b"x" * (BLOB_LIMIT_BYTES + 1), "too_large"),
        (HELLO, (b"x" * BLOB_LIMIT_BYTES, b"x"), "too_large"),
    ],
)
def test_bad_blobs_are_refused(person: TestClient, digest: str, content: object, code: str) -> None:
    """Other bytes, no digest, too many bytes, announced or not."""
    body = iter(content) if isinstance(content, tuple) else content
    reply = person.put(f"/v1/blobs/{digest}", content=body)  # type: ignore[arg-type]
    assert (reply.status_code, reply.json()["code"]) == (HTTP_STATUS[code], code)


def test_a_secret_goes_in_and_never_out(person: TestClient) -> None:
    """Only names are listed."""
    reply = person.put("/v1/secrets/hf", json={"values": {"HF_TOKEN": "hunter2-hunter2"}})
    assert reply.status_code == 200
    listed = person.get("/v1/secrets")
    assert [(row["name"], row["keys"]) for row in listed.json()] == [("hf", ["HF_TOKEN"])]
    assert "hunter2" not in reply.text + listed.text
    assert person.delete("/v1/secrets/hf").status_code == 204
    assert person.delete("/v1/secrets/hf").json()["code"] == "not_found"


@pytest.mark.parametrize(
    "body", ['{"values": {"K": 5}}', '{"values": "hunter2"}', '{"values": {"hunter2 x": "v"}', "hunter2", "[1]", "{}"]
)
def test_a_wrong_body_is_refused_without_being_repeated(person: TestClient, body: str) -> None:
    """Whatever is wrong with it, a secret does not come back in an error."""
    reply = person.put("/v1/secrets/hf", content=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")
    assert "hunter2" not in reply.text


def test_a_token_is_shown_once(person: TestClient, app: FastAPI) -> None:
    """Made, used, listed without itself, revoked."""
    made = person.post("/v1/tokens", json={"name": "desk", "expires_in_s": 60}).json()
    desk = client(app, made["token"])
    listed = desk.get("/v1/tokens")
    assert [row["name"] for row in listed.json()] == ["test", "desk"]
    assert made["token"] not in listed.text and "hash" not in listed.text
    assert person.delete(f"/v1/tokens/{made['id']}").status_code == 204
    assert desk.get("/v1/tokens").status_code == 401
    assert person.post("/v1/tokens", json={"expires_in_s": -1}).status_code == 400


def test_files_go_in_and_out_of_a_volume(person: TestClient) -> None:
    """Create, put, list, get, remove."""
    assert [person.put("/v1/volumes/v").status_code for _ in range(2)] == [201, 200]
    assert person.put("/v1/volumes/v/files/a/b.txt", content=b"text").json()["path"] == "a/b.txt"
    assert person.put("/v1/volumes/v/files/empty", params={"directory": True}).json()["kind"] == "directory"
    listed = person.get("/v1/volumes/v/files", params={"recursive": True}).json()["entries"]
    assert [(entry["path"], entry["kind"]) for entry in listed] == [
        ("a", "directory"),
        ("a/b.txt", "file"),
        ("empty", "directory"),
    ]
    assert person.get("/v1/volumes/v/files/a/b.txt").content == b"text"
    assert person.get("/v1/volumes/v").json()["size_bytes"] == 4
    assert person.delete("/v1/volumes/v/files/a").json()["code"] == "conflict"
    assert person.delete("/v1/volumes/v/files/a", params={"recursive": True}).status_code == 204
    assert person.delete("/v1/volumes/v").status_code == 204
    assert person.get("/v1/volumes/v/files").json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["..%2f..%2fs.sqlite3", "%2e%2e/%2e%2e/s.sqlite3", "a%2f..%2f..%2fs.sqlite3", "a%00"])
def test_encoded_paths_do_not_escape(person: TestClient, path: str) -> None:
    """What was hidden from the web server is seen by the volume."""
    person.put("/v1/volumes/v")
    for method in ("GET", "PUT", "DELETE"):
        assert person.request(method, f"/v1/volumes/v/files/{path}").status_code in (400, 404)


def test_a_mounted_volume_is_not_deleted(person: TestClient, store: Store) -> None:
    """The reply names the session and how to stop it."""
    person.put("/v1/volumes/v")
    spec = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe(), volumes=(VolumeMount("v", "/v"),))
    session = store.sessions.open(spec, OWNER)
    store.sessions.set_container(session.id, "ctr_1")
    reply = person.delete("/v1/volumes/v")
    assert reply.status_code == 409 and session.id in reply.json()["detail"]
    store.sessions.set_container(session.id, "")
    assert person.delete("/v1/volumes/v").status_code == 204


def test_usage_is_empty_before_anything_ran(person: TestClient) -> None:
    """And says which prices would hold."""
    reply = person.get("/v1/usage", params={"since": 5}).json()
    assert reply == {"entries": [], "running": [], "spent_microusd": 0, "price_table": load_prices().label}


def test_an_unforeseen_error_gives_nothing_away(person: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, the reply a sentence."""
    reply = person.get("/broken")
    assert (reply.status_code, reply.json()["code"]) == (500, "error")
    assert "inside" not in reply.text and "inside" in caplog.text


def test_wrong_parameters_and_routes_have_the_same_form(person: TestClient) -> None:
    """Validation, unknown paths and unknown methods."""
    for reply, status, code in [
        (person.get("/number", params={"n": "hunter2"}), 400, "bad_request"),
        (person.get("/nowhere"), 404, "not_found"),
        (person.post("/v1/usage"), 405, "bad_request"),
    ]:
        assert (reply.status_code, reply.json()["code"]) == (status, code)
        assert "hunter2" not in reply.text


def test_a_websocket_is_let_in_or_told_why_not(agent: TestClient, person: TestClient, app: FastAPI) -> None:
    """The refusal of a handshake is the same reply as that of a request."""
    with agent.websocket_connect("/agent") as socket:
        assert socket.receive_text() == "ctr_1"
    for refused, status in ((person, 403), (client(app), 401)):
        with pytest.raises(WebSocketDenialResponse) as caught, refused.websocket_connect("/agent"):
            pass
        assert caught.value.status_code == status
