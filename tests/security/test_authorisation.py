"""Every route there is, tried by everyone who may not use it, with the ids of things that really exist.

The list of routes is the application's own; what is expected of each is declared here. A route that is not declared
fails the first test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pytest
from blake3 import blake3
from websockets.exceptions import InvalidStatus

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.scopes import ADMIN, CONTAINER_SCOPE, OWNER, READ, RUN, SCOPES
from kernel_bridge.protocol.sessions import VolumeMount
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.images.records import ImageStatus, Records, write_json
from remote_runtime.store.holdings import IMAGE
from remote_runtime.store.rows import LedgerEntry
from tests.security.conftest import House, spec

NOBODY: Final = ""
ANYONE: Final = "anyone"  # without a token
CONTAINER: Final = "container"

SECRET_TEXT = b"what only Ada may read"
BLOB = blake3(SECRET_TEXT).hexdigest()
RECIPE = ImageRecipe(base="debian_slim", python="3.11")
ENVIRONMENT = hashlib.sha256(b"environment").hexdigest()


@dataclass(frozen=True)
class Door:
    """What a route wants, and what becomes of somebody else's request for Ada's things."""

    wants: str  # the least scope; or ANYONE, or CONTAINER
    foreign: int  # the status for another owner whose token has that scope
    containers: int = 403  # the status for the token of another owner's container
    body: Any = None
    streams: bool = False


ABSENT = {"kind": "nothing"}
DOORS: Final[dict[tuple[str, str], Door]] = {
    ("GET", "/healthz"): Door(ANYONE, 200, 200),
    ("GET", "/readyz"): Door(ANYONE, 200, 200),
    ("GET", "/metrics"): Door(READ, 200),  # sums over everyone, without a name or an id
    ("GET", "/v1/events"): Door(READ, 200, streams=True),
    ("GET", "/v1/runtime"): Door(READ, 200),
    ("POST", "/v1/runtime/simulate"): Door(ADMIN, 200, body={"cards": "T4:1"}),
    ("POST", "/v1/runtime/stop"): Door(ADMIN, 200),
    ("POST", "/v1/runtime/prune"): Door(ADMIN, 200),
    ("GET", "/v1/sessions"): Door(READ, 200),
    ("POST", "/v1/sessions"): Door(RUN, 200, body=to_wire(spec("ada's kernel"))),  # opens one of their own
    ("GET", "/v1/sessions/{session_id}"): Door(READ, 404),
    ("GET", "/v1/sessions/{session_id}/cells"): Door(READ, 404),
    ("GET", "/v1/sessions/{session_id}/logs"): Door(READ, 404),
    ("DELETE", "/v1/sessions/{session_id}"): Door(RUN, 404),
    ("POST", "/v1/sessions/{session_id}/stop"): Door(RUN, 404),
    ("POST", "/v1/sessions/{session_id}/pin"): Door(RUN, 404, body={"until_s": 4e9}),
    ("POST", "/v1/sessions/{session_id}/layers"): Door(RUN, 404, body={"requirements": ["six==1.17.0"]}),
    ("WEBSOCKET", "/v1/sessions/{session_id}/channel"): Door(RUN, 404),
    ("WEBSOCKET", "/v1/agents/channel"): Door(CONTAINER, 403, 101),
    ("GET", "/v1/images"): Door(READ, 200),
    ("POST", "/v1/images"): Door(RUN, 400, body={"steps": [ABSENT]}),
    ("POST", "/v1/images/prune"): Door(ADMIN, 200),
    ("GET", "/v1/images/{digest}"): Door(READ, 404),
    ("DELETE", "/v1/images/{digest}"): Door(RUN, 404),
    ("GET", "/v1/images/{digest}/context"): Door(READ, 404),
    ("GET", "/v1/images/{digest}/lock"): Door(READ, 404),
    ("GET", "/v1/images/{digest}/log"): Door(READ, 404),
    ("POST", "/v1/blobs/missing"): Door(RUN, 200, 200, body={"digests": [BLOB]}),
    ("GET", "/v1/blobs/{digest}"): Door(READ, 404, 404),
    ("HEAD", "/v1/blobs/{digest}"): Door(READ, 404, 404),
    ("PUT", "/v1/blobs/{digest}"): Door(RUN, 400, 400, body="other bytes"),
    ("GET", "/v1/volumes"): Door(READ, 200),
    ("GET", "/v1/volumes/{name}"): Door(READ, 404),
    ("PUT", "/v1/volumes/{name}"): Door(RUN, 201),  # makes one of their own of that name
    ("DELETE", "/v1/volumes/{name}"): Door(RUN, 404),
    ("GET", "/v1/volumes/{name}/files"): Door(READ, 404),
    ("GET", "/v1/volumes/{name}/files/{path}"): Door(READ, 404),
    ("PUT", "/v1/volumes/{name}/files/{path}"): Door(RUN, 404, body="overwritten"),
    ("DELETE", "/v1/volumes/{name}/files/{path}"): Door(RUN, 404),
    ("POST", "/v1/volumes/{name}"): Door(RUN, 404, body={"quota_bytes": 1}),
    ("GET", "/v1/volumes/{name}/content/{path}"): Door(READ, 404),
    ("POST", "/v1/volumes/{name}/copy"): Door(RUN, 404, body={"sources": ["adas-file"], "destination": "stolen"}),
    ("GET", "/v1/volumes/{name}/pack"): Door(READ, 404),
    ("POST", "/v1/volumes/{name}/pack"): Door(RUN, 404, body="pack"),
    ("POST", "/v1/volumes/{name}/uploads"): Door(RUN, 404, body={"path": "p", "size_bytes": 1, "key": "k"}),
    ("PUT", "/v1/volumes/{name}/uploads/{upload_id}/{index}"): Door(RUN, 400, body="overwritten"),
    ("POST", "/v1/volumes/{name}/uploads/{upload_id}"): Door(RUN, 404, body={"digest": BLOB}),
    ("DELETE", "/v1/volumes/{name}/uploads/{upload_id}"): Door(RUN, 404),
    ("GET", "/v1/volumes/{name}/versions"): Door(READ, 404, 403),
    ("POST", "/v1/volumes/{name}/versions"): Door(RUN, 404, 403, body={"message": ""}),
    ("DELETE", "/v1/volumes/{name}/versions/{version}"): Door(RUN, 404),
    ("GET", "/v1/secrets"): Door(READ, 200),
    ("PUT", "/v1/secrets/{name}"): Door(OWNER, 200, body={"values": {"KEY": "theirs"}}),  # writes one of their own
    ("DELETE", "/v1/secrets/{name}"): Door(OWNER, 404),
    ("POST", "/v1/secrets/rekey"): Door(ADMIN, 200),
    ("GET", "/v1/tokens"): Door(OWNER, 200),
    ("POST", "/v1/tokens"): Door(OWNER, 201, body={"name": ""}),
    ("DELETE", "/v1/tokens/{token_id}"): Door(OWNER, 404),
    ("GET", "/v1/usage"): Door(READ, 200),
}
DOORS_OF_REQUESTS = [door for door in DOORS if door[0] != "WEBSOCKET"]


@dataclass(frozen=True)
class Ada:
    """The first owner, and everything that is hers."""

    token: str
    ids: dict[str, str]

    @property
    def marks(self) -> tuple[str, ...]:
        """Return what nobody else may ever be shown."""
        hers = (value for key, value in self.ids.items() if key not in {"path", "name"})
        return (*hers, "adas-token", "adas-volume", "adas-secret", SECRET_TEXT.decode(), ENVIRONMENT)


# What never was.
NEVER = Ada("", {"session_id": "ses_0", "token_id": "tok_0", "digest": "0" * 64, "name": "never", "path": "never"})
COUNTED = {"upload_id": "0" * 32, "index": "0", "version": "1"}  # what a path names by number, the same for everyone


@pytest.fixture(scope="module")
def ada(house: House) -> Ada:
    """Ada has one of everything."""
    hers, token = house.store.tokens.create("adas-token", owner="ada")
    session_id = house.open_session(token, "ada's kernel")
    container_id, _ = house.container(token, session_id)
    with house.http(token) as http:
        for path, body in (
            ("/v1/volumes/adas-volume", b""),
            ("/v1/volumes/adas-volume/files/adas-file", SECRET_TEXT),
            (f"/v1/blobs/{BLOB}", SECRET_TEXT),
            ("/v1/secrets/adas-secret", b'{"values": {"ADAS_KEY": "hush"}}'),
        ):
            assert http.put(path, content=body).status_code in (200, 201)
    images = house.directory / "data" / "images"
    Records(images / "recipes").image(
        ImageStatus(digest=RECIPE.digest, label="", base="", python="", state="ready", environment=ENVIRONMENT)
    )
    write_json(images / "logs" / f"{ENVIRONMENT}.log", SECRET_TEXT.decode())
    house.store.holdings.add("ada", IMAGE, RECIPE.digest)
    house.store.ledger.close(container_id, [_bill(container_id, session_id)])
    return Ada(token, {"session_id": session_id, "container_id": container_id, "token_id": hers.id})


@pytest.fixture(scope="module")
def strangers(house: House) -> dict[str, str]:
    """Another owner's tokens, one of each scope and one of a container."""
    mine = {scope: house.token(f"ben-{scope}", scope) for scope in SCOPES if scope != ADMIN}
    session_id = house.open_session(mine[RUN], "bens kernel")
    return {**mine, CONTAINER: house.container(mine[RUN], session_id)[1]}


@pytest.fixture(scope="module")
def worthless(house: House) -> dict[str, str]:
    """Tokens that open nothing."""
    revoked, revoked_token = house.store.tokens.create("", ADMIN, owner="ada")
    house.store.tokens.revoke(revoked.id)
    expired = house.token("ada", ADMIN, expires_at_s=1.0)
    return {"none": NOBODY, "unknown": "cb_" + "x" * 43, "revoked": revoked_token, "expired": expired}


def test_every_route_is_declared(house: House) -> None:
    """A new route needs its line in DOORS; one that went must go from there."""
    assert set(_routes(house.plane.app.routes)) == set(DOORS)


@pytest.mark.parametrize("door", DOORS, ids=" ".join)
def test_a_worthless_token_opens_nothing(house: House, worthless: dict[str, str], ada: Ada, door: Any) -> None:
    """None, one nobody knows, a revoked and an expired one: 401, whether or not the thing exists."""
    for token in worthless.values():
        assert _try(house, door, ada, token).status == (200 if DOORS[door].wants == ANYONE else 401)


@pytest.mark.parametrize("door", DOORS, ids=" ".join)
def test_a_narrow_token_opens_no_wider_door(house: House, strangers: dict[str, str], ada: Ada, door: Any) -> None:
    """Reading is not running, running is not owning, owning is not administering; a container is none of them."""
    wants = DOORS[door].wants
    for scope, token in strangers.items():
        if scope == CONTAINER:
            assert _try(house, door, ada, token).status == DOORS[door].containers
        elif wants == CONTAINER or (wants in SCOPES and SCOPES.index(scope) < SCOPES.index(wants)):
            assert (scope, _try(house, door, ada, token).status) == (scope, 403)


@pytest.mark.parametrize("door", DOORS, ids=" ".join)
def test_another_owner_reaches_nothing_of_adas(house: House, strangers: dict[str, str], ada: Ada, door: Any) -> None:
    """With a token that is good enough: not shown, not changed, not even told that it is there."""
    wants = DOORS[door].wants
    if wants not in (READ, RUN, OWNER):
        return
    before = _everything(house, ada)
    for scope in SCOPES[SCOPES.index(wants) : SCOPES.index(ADMIN)]:
        seen = _try(house, door, ada, strangers[scope])
        assert (scope, seen.status) == (scope, DOORS[door].foreign)
        shown = seen.without(_asked(door, ada))
        assert not [mark for mark in ada.marks if mark in shown]
        if seen.status == 404:  # word for word what is said of things that never were
            assert shown == _try(house, door, NEVER, strangers[scope]).without(_asked(door, NEVER))
        _clear_up(house, door, ada, strangers[scope])
    assert _everything(house, ada) == before


@pytest.mark.parametrize("door", [door for door in DOORS_OF_REQUESTS if door[0] == "GET"], ids=" ".join)
def test_only_an_admin_names_another_owner(house: House, strangers: dict[str, str], ada: Ada, door: Any) -> None:
    """`?owner=` of a route that takes it is refused to others, and nothing of Ada's is in the refusal or the answer."""
    if DOORS[door].streams or DOORS[door].wants == ANYONE:
        return
    with house.http(strangers[OWNER]) as http:
        for owner in ("ada", "*"):
            answer = http.get(_path(door[1], ada), params={"owner": owner})
            assert answer.status_code in (200, 403, 404)
            assert not [mark for mark in ada.marks if mark in answer.text and answer.status_code != 404]


def test_an_admin_reaches_everyones(house: House, ada: Ada) -> None:
    """By id, by `?owner=ada`, and all at once by `?owner=*`."""
    with house.http(house.token("root", ADMIN)) as http:
        assert http.get(f"/v1/sessions/{ada.ids['session_id']}").status_code == 200
        assert http.get("/v1/sessions").json() == []
        assert ada.ids["session_id"] in http.get("/v1/sessions", params={"owner": "*"}).text
        assert [row["name"] for row in http.get("/v1/volumes", params={"owner": "ada"}).json()] == ["adas-volume"]
        assert [row["name"] for row in http.get("/v1/secrets", params={"owner": "ada"}).json()] == ["adas-secret"]
        assert ada.ids["token_id"] in http.get("/v1/tokens", params={"owner": "*"}).text
        assert http.get("/v1/usage", params={"owner": "ada"}).json()["spent_microusd"] >= 7
        assert RECIPE.digest in http.get("/v1/images", params={"owner": "ada"}).text
        assert http.get("/v1/volumes", params={"owner": "a/../b"}).status_code == 400


def test_a_session_cannot_name_anothers_things(house: House, strangers: dict[str, str], ada: Ada) -> None:
    """A volume or a secret of Ada's is not found by the name she gave it; a namesake of one's own is another thing."""
    with house.http(strangers[OWNER]) as http:
        for changes in ({"volumes": (VolumeMount("adas-volume", "/v"),)}, {"secrets": ("adas-secret",)}):
            assert http.post("/v1/sessions", json=to_wire(spec("thief", **changes))).status_code == 404
        assert http.put("/v1/volumes/adas-volume").status_code == 201
        assert http.get("/v1/volumes/adas-volume/files").json() == {"entries": []}
        mine = house.open_session(strangers[OWNER], "thief", volumes=(VolumeMount("adas-volume", "/v"),))
        house.container(strangers[OWNER], mine)
        source = next(one for one in house.provider.started if one.config.session_id == mine).config.mounts[-1].source
        assert source.endswith("ben-owner@adas-volume")


def test_a_blob_is_no_oracle(house: House, strangers: dict[str, str], ada: Ada) -> None:
    """What Ada put is missing to others until they bring the same bytes; her own container has it."""
    ours = _container_of(house, ada)
    with house.http(strangers[RUN]) as ben, house.http(ours) as hers:
        asked = {"digests": [BLOB]}
        assert ben.post("/v1/blobs/missing", json=asked).json() == {"missing": [BLOB]}
        assert hers.post("/v1/blobs/missing", json=asked).json() == {"missing": []}
        assert hers.get(f"/v1/blobs/{BLOB}").content == SECRET_TEXT
        absent = ben.get(f"/v1/blobs/{'0' * 64}").text.replace("0" * 64, "")
        assert ben.get(f"/v1/blobs/{BLOB}").text.replace(BLOB, "") == absent
        assert ben.put(f"/v1/blobs/{BLOB}", content=SECRET_TEXT).status_code == 201
        assert ben.get(f"/v1/blobs/{BLOB}").content == SECRET_TEXT


def test_a_token_makes_no_wider_one(house: House, ada: Ada) -> None:
    """Neither in scope nor for another owner; and no two of an owner's are called alike."""
    with house.http(ada.token) as http:
        for body, status in (
            ({"scope": ADMIN}, 403),
            ({"scope": CONTAINER_SCOPE + "ctr_1"}, 400),
            ({"scope": "all"}, 400),
            ({"name": "x" * 101}, 400),
            ({"name": "one\nline"}, 400),
            ({"expires_in_s": 0}, 400),
            ({"expires_in_s": 1e12}, 400),
        ):
            assert (body, http.post("/v1/tokens", json=body).status_code) == (body, status)
        assert http.post("/v1/tokens", params={"owner": "ben"}, json={}).status_code == 403
        made = http.post("/v1/tokens", json={"name": "ci", "scope": RUN}).json()
        assert (made["owner"], made["scope"], made["last_used_at_s"]) == ("ada", RUN, None)
        assert http.post("/v1/tokens", json={"name": "ci"}).json()["code"] == "conflict"
        assert http.delete(f"/v1/tokens/{made['id']}").status_code == 204
        assert http.post("/v1/tokens", json={"name": "ci"}).status_code == 201


@dataclass(frozen=True)
class Seen:
    """What an attempt brought."""

    status: int
    text: str = ""

    def without(self, asked: tuple[str, ...]) -> str:
        """Return the answer without what was in the question."""
        text = self.text
        for value in asked:
            text = text.replace(value, "").replace(value[:12], "")
        return text


def _try(house: House, door: tuple[str, str], ada: Ada, token: str) -> Seen:
    method, path = door[0], _path(door[1], ada)
    if method == "WEBSOCKET":
        try:
            with house.dial(path, token):
                return Seen(101)
        except InvalidStatus as refused:
            return Seen(refused.response.status_code, bytes(refused.response.body or b"").decode())
    with house.http(token) as http, http.stream(method, path, **_body(door)) as answer:
        if DOORS[door].streams and answer.status_code == 200:
            return Seen(200, _first_event(answer))
        return Seen(answer.status_code, answer.read().decode(errors="replace"))


def _body(door: tuple[str, str]) -> dict[str, Any]:
    body = DOORS[door].body
    if body is None:
        return {}
    return {"content": body.encode()} if isinstance(body, str) else {"json": body}


def _first_event(answer: httpx2.Response) -> str:
    """Return the first event of a stream: the snapshot of everything its reader may see."""
    text = ""
    for line in answer.iter_lines():
        text += line + "\n"
        if line == "" and "data:" in text:
            return text
    return text


def _path(template: str, ada: Ada) -> str:
    return template.format(**_values(template, ada))


def _asked(door: tuple[str, str], ada: Ada) -> tuple[str, ...]:
    return (BLOB,) if door[1] == "/v1/blobs/missing" else tuple(_values(door[1], ada).values())


def _values(template: str, ada: Ada) -> dict[str, str]:
    """Return what stands for the parameters of a path."""
    digest = BLOB if "/blobs/" in template else RECIPE.digest
    name = "adas-secret" if "/secrets/" in template else "adas-volume"
    known = {**COUNTED, "digest": digest, "name": name, "path": "adas-file", **ada.ids}
    return {key: value for key, value in known.items() if "{" + key + "}" in template}


def _everything(house: House, ada: Ada) -> dict[str, Any]:
    """Return all that is Ada's as she sees it."""
    with house.http(ada.token) as http:
        session = http.get(f"/v1/sessions/{ada.ids['session_id']}").json()
        tokens = [row["id"] for row in http.get("/v1/tokens").json()]
        return {
            "session": (session["state"], session["container_id"], session["pinned_until_s"], session["layers"]),
            "volumes": [row["name"] for row in http.get("/v1/volumes").json()],
            "file": http.get("/v1/volumes/adas-volume/files/adas-file").content,
            "secrets": http.get("/v1/secrets").json(),
            "blob": http.get(f"/v1/blobs/{BLOB}").content,
            "images": http.get("/v1/images").json(),
            "log": http.get(f"/v1/images/{RECIPE.digest}/log").text,
            "hers": ada.ids["token_id"] in tokens,
            "usage": http.get("/v1/usage").json()["entries"],
        }


def _clear_up(house: House, door: tuple[str, str], ada: Ada, token: str) -> None:
    """Remove a namesake that the attempt made, so that the next one begins like this."""
    if door[0] == "PUT" and door[1].endswith("s/{name}"):
        with house.http(token) as http:
            assert http.delete(_path(door[1], ada)).status_code == 204


def _container_of(house: House, ada: Ada) -> str:
    configs = [one.config for one in house.provider.started]
    return next(config.token for config in configs if config.container_id == ada.ids["container_id"])


def _bill(container_id: str, session_id: str) -> LedgerEntry:
    return LedgerEntry(
        container_id=container_id,
        session_id=session_id,
        owner="ada",
        resource="cpu",
        use="active",
        quantity=1.0,
        rate_microusd_per_h=7,
        started_at_s=1.0,
        ended_at_s=2.0,
        duration_ms=1000,
        cost_microusd=7,
        place="paper",
        simulated=True,
        price_table="",
    )


def _routes(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes, prefix + route.include_context.prefix)
        else:
            for method in getattr(route, "methods", None) or {"WEBSOCKET"}:
                yield method, (prefix + route.path).replace(":path", "")
