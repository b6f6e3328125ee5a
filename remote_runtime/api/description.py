"""The OpenAPI description: what FastAPI knows of the routes, completed by bodies, replies, errors and limits.

Routes read their bodies themselves, so each says by `takes` what it reads and by `gives` what it answers; `describe`
adds what holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path
from pydantic import TypeAdapter

from kernel_bridge.protocol.wire import NUMBER_LIMIT

ID_LIMIT_CHARS: Final = 64
PATH_LIMIT_CHARS: Final = 4096
OPEN: Final = frozenset({"/healthz", "/readyz"})
DIGEST_PATTERN: Final = "^[0-9a-f]{64}$"

# Parameters of paths. What does not fit is refused before a route sees it, and no database has to take it.
Id = Annotated[str, Path(max_length=ID_LIMIT_CHARS, pattern="^[A-Za-z0-9_-]+$")]
Digest = Annotated[str, Path(pattern=DIGEST_PATTERN)]
Name = Annotated[str, Path(json_schema_extra={"maxLength": ID_LIMIT_CHARS, "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"})]
FilePath = Annotated[str, Path(min_length=1, max_length=PATH_LIMIT_CHARS)]

_REFERENCE: Final = "#/components/schemas/{model}"
_ERROR: Final = {
    "type": "object",
    "required": ["code", "detail"],
    "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
    "description": "Every error: its code, and a sentence that says what to do.",
}
_METHODS: Final = frozenset({"get", "head", "put", "post", "delete"})


def takes(kind: Any) -> dict[str, Any]:
    """Say that a route reads a JSON object of this kind; for `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema(kind)}}}}


def takes_bytes() -> dict[str, Any]:
    """Say that a route takes a body as it comes; for `openapi_extra`."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": {"application/octet-stream": binary}}}


def gives(kind: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Say that a route answers with JSON of this kind; for `responses`."""
    return {status: {"content": {"application/json": {"schema": _schema(kind)}}}}


def gives_bytes() -> dict[int | str, dict[str, Any]]:
    """Say that a route answers with bytes; for `responses`."""
    return {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the whole description."""
    said = app.openapi()
    components = said.setdefault("components", {})
    components["schemas"] = {"Error": _ERROR}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, method, operation in _operations(said):
        answers = operation["responses"]
        answers.pop("422", None)  # FastAPI's own form of an error, which nobody is sent here
        if method == "head":
            answers["default"] = {"description": "an error, whose body HEAD has not"}
            answers.get("200", {}).pop("content", None)
        else:
            error = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}}
            answers["default"] = {"description": "an error", "content": error}
        if path not in OPEN:
            operation["security"] = [{"token": []}]
    _hoist(said, components["schemas"])
    _bound(said["components"])
    return said


def _schema(kind: Any) -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter(kind).json_schema(ref_template=_REFERENCE)
    return schema


def _operations(said: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in said["paths"].items():
        for method in _METHODS & item.keys():
            yield path, method, item[method]


def _hoist(node: Any, schemas: dict[str, Any]) -> None:
    """Move the definitions that a schema brought along to where references look for them."""
    if isinstance(node, dict):
        schemas.update(node.pop("$defs", {}))
        for value in list(node.values()):
            _hoist(value, schemas)
    elif isinstance(node, list):
        for value in node:
            _hoist(value, schemas)


def _bound(node: Any) -> None:
    """Say of whole numbers what every reader of them demands."""
    if isinstance(node, dict):
        if node.get("type") == "integer":
            node.setdefault("minimum", -NUMBER_LIMIT)
            node.setdefault("maximum", NUMBER_LIMIT)
        for value in node.values():
            _bound(value)
    elif isinstance(node, list):
        for value in node:
            _bound(value)
