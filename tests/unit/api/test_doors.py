"""Every route there is, tried by those who may not use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from remote_runtime.app import create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url
from remote_runtime.store.tokens import container_scope

FOR_EVERYONE = {"/healthz"}
FOR_CONTAINERS = ("/v1/blobs/", "/v1/agents/channel")


def test_every_route_wants_its_token(tmp_path: Path) -> None:
    """Nobody and a wrong token open nothing but the health check; a container's opens its channel and blobs."""
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    _, container = store.tokens.create("agent", container_scope("ctr_1"))
    arena = ArenaRoot(path=tmp_path / "arena", kind="files")
    settings = Settings(data_dir=tmp_path / "data", runtime_dir=tmp_path / "run")
    plane = create_plane(settings, store, arena, control_url="unix:/nowhere", leave=lambda: None)
    with TestClient(plane.app) as http:
        doors = [door for door in _doors(plane.app.routes) if door[1] not in FOR_EVERYONE]
        assert len(doors) > 30
        for method, path in doors:
            assert (method, path, _answer(http, method, path, {})) == (method, path, 401)
            assert (method, path, _answer(http, method, path, _bearer("cb_" + "x" * 43))) == (method, path, 401)
            if not path.startswith(FOR_CONTAINERS):
                assert (method, path, _answer(http, method, path, _bearer(container))) == (method, path, 403)
    store.close()


def _doors(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _doors(route.original_router.routes, prefix + route.include_context.prefix)
        else:
            path = prefix + route.path
            for method in getattr(route, "methods", None) or {"WEBSOCKET"}:
                yield method, path.replace("{", "").replace("}", "").replace(":path", "")


def _answer(http: TestClient, method: str, path: str, headers: dict[str, str]) -> int:
    if method != "WEBSOCKET":
        return http.request(method, path, headers=headers).status_code
    with pytest.raises(WebSocketDenialResponse) as refused, http.websocket_connect(path, headers=headers):
        pass
    return int(refused.value.status_code)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
