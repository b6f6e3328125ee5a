"""The routes to watch a runtime by: who may ask them, what they answer, what of a request stays behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from kernel_bridge.logs import line_of
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.logs import LogLine
from kernel_bridge.protocol.sessions import Notebook, SessionSpec
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.app import Plane, create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.logs import log_file
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url

SPEC = SessionSpec(notebook=Notebook(kernel_id="k", python="3.11"), image=ImageRecipe(python="3.11"), gpu="cpu")


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """A whole control plane that is not started."""
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    settings = Settings(data_dir=tmp_path / "data", runtime_dir=tmp_path / "run")
    arena = ArenaRoot(path=tmp_path / "arena", kind="files")
    yield create_plane(settings, store, arena, control_url="unix:/nowhere", leave=lambda: None)
    store.close()


@pytest.fixture
def http(plane: Plane) -> Iterator[TestClient]:
    """A client of it, with a person's token."""
    _, token = plane.parts.store.tokens.create("test")
    with TestClient(plane.app, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def open_session(http: TestClient) -> str:
    return str(http.post("/v1/sessions", json=to_wire(SPEC)).json()["id"])


def test_anyone_may_ask_whether_it_is_ready(http: TestClient, plane: Plane) -> None:
    """Words only; 503 as soon as one part is not, and it says which."""
    nobody = {"Authorization": "Bearer nonsense"}
    answer = http.get("/readyz", headers=nobody)
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["checks"] == dict.fromkeys(("store", "provider", "reconciler", "disk"), "ok")
    (plane.parts.settings.data_dir / "payload").rename(plane.parts.settings.data_dir / "gone")
    plane.reconciler.round_at_s -= 1000
    again = _until_not_ready(http)
    assert (again["status"], again["checks"]["provider"]) == ("not ready", "unreachable")


def _until_not_ready(http: TestClient) -> dict[str, object]:
    while True:  # an answer is good for a moment; the test's time limit ends this
        answer = http.get("/readyz")
        if answer.status_code == 503:
            return dict(answer.json())


def test_a_made_up_method_is_no_series_of_its_own(http: TestClient) -> None:
    """Whoever has no token must not fill the memory with words."""
    for number in range(3):
        http.request(f"WORD{number}", "/v1/runtime", headers={"Authorization": "Bearer nonsense"})
    text = http.get("/metrics").text
    assert "WORD" not in text and 'method="other"' in text


def test_requests_are_counted_by_route(http: TestClient) -> None:
    """By the template and never by the path; what no route takes is one series."""
    session_id = open_session(http)
    for path in (f"/v1/sessions/{session_id}", f"/v1/sessions/{session_id}", "/v1/sessions/ses_none", "/nowhere/1"):
        http.get(path)
    text = http.get("/metrics").text
    assert session_id not in text and "nowhere" not in text
    counts = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "cellburst_http_request_duration_seconds_count"
    }
    assert counts["GET", "/v1/sessions/{session_id}", "200"] == 2
    assert counts["GET", "/v1/sessions/{session_id}", "404"] == 1
    assert counts["GET", "unmatched", "404"] == 1
    assert 'cellburst_sessions{state="open"} 1.0' in text


def test_metrics_want_a_token(http: TestClient) -> None:
    """They tell what costs how much."""
    assert http.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_request_has_an_id_in_the_answer_and_in_the_log(http: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's where it is one; else one of ours. Tokens, queries and bodies are in no line."""
    caplog.set_level(logging.DEBUG)
    given = http.get("/v1/sessions?owner=secret-query", headers={"X-Request-ID": "abc-1", "X-Cellburst-Cell": "c1"})
    made = http.get("/healthz", headers={"X-Request-ID": "not an id\x7f"})
    assert given.headers["x-request-id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 16
    lines = [record for record in caplog.records if record.name == "remote_runtime.api.requests"]
    assert [(line.getMessage(), line.levelname) for line in lines] == [
        ("GET /v1/sessions", "INFO"),
        ("GET /healthz", "DEBUG"),
    ]
    assert "secret-query" not in "".join(map(str, (vars(line) for line in lines)))


def test_a_session_s_log_is_its_owners(http: TestClient, plane: Plane) -> None:
    """Lines about it and no other; a stranger does not even learn that it is there."""
    session_id = open_session(http)
    path = log_file(plane.parts.settings.data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        LogLine(at_s=1, level="info", message="mine", session_id=session_id, cell_id="c1"),
        LogLine(at_s=2, level="info", message="another's", session_id="ses_other"),
    )
    path.write_text("".join(line_of(line) + "\n" for line in lines))
    url = f"/v1/sessions/{session_id}/logs"
    assert [line["message"] for line in http.get(url).json()] == ["mine"]
    assert http.get(url, params={"cell": "c2"}).json() == []
    _, stranger = plane.parts.store.tokens.create("other", owner="bob")
    refused = http.get(url, headers={"Authorization": f"Bearer {stranger}"})
    assert refused.status_code == 404


@pytest.mark.parametrize("query", ["level=loud", "lines=0", "lines=100000", "lines=x", "cell=" + "x" * 300])
def test_a_question_that_makes_no_sense_is_refused(http: TestClient, query: str) -> None:
    """With a sentence, not with a failure."""
    answer = http.get(f"/v1/sessions/{open_session(http)}/logs?{query}")
    assert answer.status_code in (400, 422)
    assert json.loads(answer.text)["detail"]


def test_a_secret_s_value_is_struck_from_the_log(http: TestClient, plane: Plane) -> None:
    """Also where whoever wrote the line did not know it for one."""
    assert http.put("/v1/secrets/db", json={"values": {"PASSWORD": "correct-horse-battery"}}).is_success
    spec = to_wire(SPEC) | {"secrets": ["db"]}
    session_id = http.post("/v1/sessions", json=spec).json()["id"]
    path = log_file(plane.parts.settings.data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = LogLine(
        at_s=1, message="login correct-horse-battery", session_id=session_id, fields={"a": "correct-horse-battery"}
    )
    path.write_text(line_of(line) + "\n")
    text = http.get(f"/v1/sessions/{session_id}/logs").text
    assert "login" in text and "correct-horse" not in text
