"""Schemathesis over the description of the real application: no request makes it fail, and it answers as it says."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kernel_bridge.protocol.scopes import ADMIN
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.description import describe
from tests.security.conftest import House, PaperImages, spec

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = {"/v1/events"}  # a stream has no end to check
BUSY = {503}  # no card is free, or something is not ready: declared, and no failure of ours


@dataclass(frozen=True)
class Api:
    """Where the application serves, who asks, and what it says of itself."""

    url: str
    headers: dict[str, str]
    said: dict[str, Any]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A house of its own, on TCP: what comes here may change everything in it."""
    with tempfile.TemporaryDirectory(prefix="cb") as name, socket.create_server(("127.0.0.1", 0)) as listener:
        house = House(Path(name))
        house.plane.builder.environment = PaperImages().environment
        token = house.token("root", ADMIN)
        said = describe(house.plane.app)
        with house.serving(listener):
            yield Api(f"http://127.0.0.1:{listener.getsockname()[1]}", {"Authorization": f"Bearer {token}"}, said)


@pytest.mark.timeout(180)
def test_no_request_breaks_a_route(api: Api) -> None:
    """A few requests for every route, as described and otherwise."""
    _try_everything(api, max_examples=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_requests_break_no_route(api: Api) -> None:
    """The same, for longer."""
    _try_everything(api, max_examples=20)


def test_every_route_says_what_it_takes_and_how_it_fails(api: Api) -> None:
    """A body where one is read, a form for errors, a token unless it is open to all, and a limit on every input."""
    for path, item in api.said["paths"].items():
        for method, operation in item.items():
            assert operation["responses"].keys() & {"default"}, path
            assert ("security" in operation) == (path not in {"/healthz", "/readyz"}), path
            assert method not in {"put", "post"} or "requestBody" in operation or path in BODILESS, (method, path)
            for parameter in operation.get("parameters", []):
                assert _is_bounded(parameter["schema"]), (method, path, parameter["name"])


@pytest.mark.parametrize(
    "changes",
    [{"cpu": 1e300}, {"cpu": -1}, {"memory_bytes": 1 << 62}, {"memory_bytes": -1}, {"idle_after_s": -1.0},
     {"secrets": ["x"] * 101}, {"gpu": "A100:²"}, {"gpu": "A" * 5000}, {"name": 1 << 70}],
)  # fmt: skip
def test_a_session_asks_for_what_there_can_be(api: Api, changes: dict[str, Any]) -> None:
    """No negative bill, and no number that a database cannot hold."""
    answer = requests.post(
        f"{api.url}/v1/sessions", json={**to_wire(spec()), **changes}, headers=api.headers, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) in {
        (400, "bad_request"),
        (400, "bad_option"),
        (503, "no_capacity"),
    }


# What is asked for is in the path.
BODILESS = {
    "/v1/images/prune",
    "/v1/runtime/prune",
    "/v1/volumes/{name}",
    "/v1/sessions/{session_id}/stop",
    "/v1/runtime/stop",
    "/v1/secrets/rekey",
}


def _is_bounded(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return all(_is_bounded(each) for each in schema["anyOf"])
    limits = {"string": {"maxLength", "pattern", "enum"}, "integer": {"maximum"}, "number": {"maximum"}}
    return schema["type"] not in limits or bool(limits[schema["type"]] & schema.keys())


def _try_everything(api: Api, max_examples: int) -> None:
    schema = schemathesis.openapi.from_dict(api.said)
    failures: list[BaseException] = []
    with requests.Session() as session:
        session.headers.update(api.headers)
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path not in ENDLESS:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    try:
                        _try(operation, mode, api.url, session, max_examples)
                    except BaseExceptionGroup as failure:  # one report of all routes
                        failures.append(failure)
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} routes do not do as they say", failures)


def _try(operation: Any, mode: GenerationMode, url: str, session: requests.Session, max_examples: int) -> None:
    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(base_url=url, session=session, timeout=30)
        if answer.status_code not in BUSY:
            case.validate_response(answer, checks=CHECKS)

    with suppress(Unsatisfiable):  # what takes nothing cannot be asked wrongly
        check()
