"""What two runs of a notebook may differ in, each with its reason. What is not in this table has to be the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tests.differential.kernel import Output

_DEEP: Final = 1000  # characters
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Rule:
    """Texts that match `pattern` are read as `reads`."""

    name: str
    pattern: re.Pattern[str]
    reads: str
    reason: str


RULES: Final = (
    Rule("address", re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x…", "an object's address is another in every process"),
    Rule(
        "time",
        re.compile(r"(CPU times: |Wall time: ).*|.* per loop \(mean .*"),
        "TIME",
        "what `%time` and `%timeit` measure",
    ),
    Rule(
        "progress",
        re.compile(r"\[\d\d:\d\d<[^]]*\]|\d+(?:\.\d+)?(?:it/s|s/it)"),
        "PACE",
        "how fast a progress bar goes",
    ),
    Rule("kernel file", re.compile(r"/tmp/ipykernel_\d+/\d+\.py"), "CELL", "the file a kernel pretends a cell is in"),
    Rule(
        "package",
        re.compile(r"/\S*?/(?:site-packages|images/layers/[0-9a-f]{64})(?=/)"),
        "PACKAGES",
        "where packages are",
    ),
    Rule(
        "library",
        re.compile(r"/\S*?/lib/python3\.\d+(?=/)|~/\S*?/lib/python3\.\d+(?=/)"),
        "LIB",
        "where the standard library is",
    ),
    Rule("figure", re.compile(r"(?<=[\"#])[mp][0-9a-f]{10}\b"), "ID", "ids that matplotlib draws for an SVG"),
    Rule("table", re.compile(r"\bid=\"sk-[\w-]+\"|#sk-container-id-\d+"), "ID", "scikit-learn counts its tables"),
    Rule("uuid", re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "UUID", "drawn anew for every plot"),
    Rule(
        "worker",
        re.compile(r"\bForkPoolWorker-\d+|\b(?:Spawn|Fork)Process-\d+"),
        "WORKER",
        "a process's children are counted",
    ),
)

# Values are held to more than what is shown of them.
OF_VALUES: Final = tuple(rule for rule in RULES if rule.name in {"address", "kernel file", "package"})


def normalised(outputs: list[Output]) -> list[Output]:
    """Return outputs as they are compared: without our footer, streams whole, texts by the rules.

    Standard output and error are written by two buffers, whose order is chance between two displays, here as there.
    """
    found: list[Output] = []
    for output in outputs:
        if output.metadata.get("cellburst"):
            continue
        if output.kind == "stream":
            _write(found, output)
        else:
            found.append(Output(output.kind, output.name, _apply(_cut(output.data)), _apply(output.metadata)))
    for output in found:
        if output.kind == "stream":
            output.data = {"text": text(output.data["text"])}
    return found


def text(told: str, rules: tuple[Rule, ...] = RULES) -> str:
    """Apply rules to a text."""
    told = _ANSI.sub("", told)
    for rule in rules:
        told = rule.pattern.sub(rule.reads, told)
    return told


def _cut(data: dict[str, Any]) -> dict[str, Any]:
    """Cut the traceback of a recursion that went too deep: its end depends on how many frames are below the cell."""
    deep = str(data.get("says", "")).startswith("RecursionError")
    return data | {"traceback": data["traceback"][:_DEEP]} if deep else data


def _apply(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {name: _apply(part) for name, part in sorted(value.items())}  # in JSON the order says nothing
    return [_apply(part) for part in value] if isinstance(value, list) else value


def _write(found: list[Output], output: Output) -> None:
    for before in reversed(found):
        if before.kind != "stream":
            break
        if before.name == output.name:
            before.data = {"text": before.data["text"] + output.data["text"]}
            return
    found.append(Output(output.kind, output.name, dict(output.data), {}))
    tail = found[-2:]
    if len(tail) == 2 and tail[0].kind == "stream" and tail[0].name == "stderr":
        found[-2:] = tail[::-1]
