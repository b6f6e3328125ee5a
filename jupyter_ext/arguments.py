"""A magic's line -> frozen `CellOptions`; every refusal is one line that says what to write."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from jupyter_ext.words import split
from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.resources import is_gpu_spec, parse_duration, parse_gpu, parse_size
from kernel_bridge.protocol.sessions import VolumeMount

T = TypeVar("T")

MODEL_CACHE: Final = "/model-cache"  # where it appears
_RESOURCE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_CACHED_LINES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOptions:
    """What the line of a `%%gpu` or `%gpu` asks for; None and empty mean the notebook's default."""

    gpu: str | None = None
    image: str | None = None  # an expression, evaluated in the notebook
    volumes: tuple[VolumeMount, ...] = ()
    model_cache: VolumeMount | None = None
    secrets: tuple[str, ...] = ()
    cpu: float | None = None
    memory_bytes: int | None = None
    timeout_s: float | None = None
    idle_after_s: float | None = None
    names_in: tuple[str, ...] = ()
    names_out: tuple[str, ...] | None = None
    names_leave: tuple[str, ...] = ()
    session: str = ""
    network: bool = True
    provider: str = ""
    quiet: bool = False
    dry_run: bool = False


# Every option of `%%gpu`: what the parser is made from, and what the reference page is held to.
OPTIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("spec", {"nargs": "?", "metavar": "SPEC", "help": "the card: A100, A100-80GB, H100:8, H100,A100, any; or cpu"}),
    ("--image", {"metavar": "NAME|EXPR", "help": "a cellburst.Image, or an expression that makes one"}),
    (
        "--volume",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME[@VERSION][/FOLDER]:/path[:ro]",
            "help": "mount a volume, a folder or a version of it; repeatable",
        },
    ),
    ("--model-cache", {"default": "", "metavar": "NAME", "help": "a volume where libraries keep weights they fetch"}),
    (
        "--secret",
        {"action": "append", "default": [], "metavar": "NAME", "help": "set a secret's variables; repeatable"},
    ),
    ("--cpu", {"metavar": "N", "help": "processor cores, for example 4"}),
    ("--memory", {"metavar": "SIZE", "help": "memory, for example 16G"}),
    ("--timeout", {"metavar": "TIME", "help": "end the cell after so long, for example 30m"}),
    ("--idle", {"metavar": "TIME", "help": "without a cell for so long, save the state and stop paying: 5m"}),
    ("--in", {"dest": "names_in", "default": "", "metavar": "NAMES", "help": "ship these names too: a,b"}),
    ("--out", {"dest": "names_out", "metavar": "NAMES", "help": "bring home only these names: a,b"}),
    ("--leave", {"default": "", "metavar": "NAMES", "help": "keep these names remote, whatever their size: a,b"}),
    ("--session", {"default": "", "metavar": "NAME", "help": "a session shared by all notebooks that say this name"}),
    ("--no-network", {"action": "store_true", "help": "a container that reaches no network"}),
    ("--provider", {"default": "", "metavar": "NAME", "help": "where the container comes from: process or docker"}),
    ("--quiet", {"action": "store_true", "help": "no status line and no footer"}),
    ("--dry-run", {"action": "store_true", "help": "show what would be sent, and start nothing"}),
)


_FLAGS: Final = frozenset(name for name, settings in OPTIONS if settings.get("action") == "store_true")


def gpu_arguments() -> None:
    """Run this cell (or, as `%gpu EXPRESSION`, one expression) in a container on a GPU host.

    In the line form the options come first, then the card if more follows it; `%gpu -- EXPRESSION` takes all the rest
    as the expression.
    """


def _build_parser() -> argparse.ArgumentParser:
    for name, settings in reversed(OPTIONS):  # as decorators, the last is applied first
        argument(name, **settings)(gpu_arguments)
    parser: argparse.ArgumentParser = magic_arguments("gpu")(gpu_arguments).parser
    return parser


_PARSER: Final = _build_parser()
HELP: Final[str] = gpu_arguments.__doc__ or ""


@lru_cache(maxsize=_CACHED_LINES)
def parse_cell(line: str) -> CellOptions:
    """Read the line of a `%%gpu` cell; raises UsageError."""
    return _options([token.text for token in split(line)])


@lru_cache(maxsize=_CACHED_LINES)
def parse_line(line: str) -> tuple[CellOptions, str]:
    """Read the line of a `%gpu`: its options and the expression after them; raises UsageError."""
    words: list[str] = []
    tokens = split(line)
    has_spec = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.text == "--":
            return _options(words), _expression(line, token.end)
        if token.text.startswith("--"):
            taken = 1 if token.text in _FLAGS or "=" in token.text else 2
            words += [each.text for each in tokens[index : index + taken]]
            index += taken
        elif not has_spec and index + 1 < len(tokens) and is_gpu_spec(token.text):
            words.append(token.text)
            has_spec = True
            index += 1
        else:
            return _options(words), _expression(line, token.start)
    return _options(words), _expression(line, len(line))


def parse_volume(text: str) -> VolumeMount:
    """Read `NAME:/path`, `NAME/folder:/path:ro` or `NAME@VERSION:/path`; raises BadOption."""
    source, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    source, _, sub_path = source.partition("/")
    name, at, version = source.partition("@")
    if at and (not version.isdecimal() or not 0 < int(version) < 10**9 or mode == "rw"):
        raise BadOption(f"`--volume {text}`: a version is a number and read only, for example `{name}@1:/path`.")
    if ".." in sub_path.split("/"):
        raise BadOption(f"`--volume {text}`: a folder of the volume is named from its root, without `..`.")
    if not _RESOURCE_NAME.match(name) or not path.startswith("/") or mode not in {"", "ro", "rw"}:
        raise BadOption(f"`--volume {text}`: write `--volume NAME:/path` or `--volume NAME:/path:ro`.")
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts:
        raise BadOption(f"`--volume {text}`: mount it at an absolute path below `/`, for example `{name}:/{name}`.")
    below = "/".join(part for part in sub_path.split("/") if part not in ("", "."))
    return VolumeMount(name, "/" + "/".join(parts), mode == "ro" or bool(at), below, int(version or 0))


def parse_model_cache(text: str) -> VolumeMount | None:
    """Read a model cache's name, empty for none; raises BadOption."""
    if text and not _RESOURCE_NAME.match(text):
        raise BadOption(f"`--model-cache {text}`: write the name of a volume, for example `--model-cache weights`.")
    return VolumeMount(text, MODEL_CACHE, model_cache=True) if text else None


def parse_names(option: str, text: str) -> tuple[str, ...]:
    """Read `a,b` as names of the notebook; raises BadOption."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not name.isidentifier():
            raise BadOption(f"`{option} {text}`: `{name}` is not a name; write for example `{option} a,b`.")
    return names


def parse_positive(before: str, text: str) -> float:
    """Read a number above zero that was written after `before`; raises BadOption."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise BadOption(f"`{before}{text}`: write a number above zero, for example `{before}4`.")
    return number


def _options(words: list[str]) -> CellOptions:
    found = _parse(words)
    try:
        return CellOptions(
            gpu=_maybe(found.spec, lambda text: str(parse_gpu(text))),
            image=found.image,
            volumes=_distinct(tuple(parse_volume(text) for text in found.volume)),
            model_cache=parse_model_cache(found.model_cache),
            secrets=tuple(dict.fromkeys(_secret(text) for text in found.secret)),
            cpu=_maybe(found.cpu, lambda text: parse_positive("--cpu ", text)),
            memory_bytes=_maybe(found.memory, parse_size),
            timeout_s=_maybe(found.timeout, lambda text: _duration("--timeout", text)),
            idle_after_s=_maybe(found.idle, lambda text: _duration("--idle", text)),
            names_in=parse_names("--in", found.names_in),
            names_out=_maybe(found.names_out, lambda text: parse_names("--out", text)),
            names_leave=parse_names("--leave", found.leave),
            session=_session(found.session),
            network=not found.no_network,
            provider=_provider(found.provider),
            quiet=found.quiet,
            dry_run=found.dry_run,
        )
    except BadOption as error:
        _usage(str(error))


def _parse(words: list[str]) -> argparse.Namespace:
    known = [option for action in _PARSER._actions for option in action.option_strings]
    for word in words:
        option = word.partition("=")[0]
        if word.startswith("-") and option not in known and not _is_value(words, word):
            near = difflib.get_close_matches(option, known, n=1)
            _usage(
                f"`{option}` is not an option of `%%gpu`: {f'did you mean `{near[0]}`?' if near else 'see `%%gpu?`.'}"
            )
    try:
        found, extra = _PARSER.parse_known_args(words)
    except UsageError as error:
        _usage(f"{str(error).removeprefix('argument ').rstrip('.')}; see `%%gpu?`.")
    if extra:
        _usage(f"`{extra[0]}` is one word too many: write one card, then options: `%%gpu A100 --timeout 30m`.")
    return found


def _is_value(words: list[str], word: str) -> bool:
    before = words.index(word) - 1
    return before >= 0 and words[before].startswith("--") and words[before] not in _FLAGS and not word.startswith("--")


def _secret(text: str) -> str:
    if not _RESOURCE_NAME.match(text):
        raise BadOption(f"`--secret {text}`: write the secret's name only; its values never stand in a notebook.")
    return text


def _session(text: str) -> str:
    if text and not _RESOURCE_NAME.match(text):
        raise BadOption(f"`--session {text}`: a session's name is letters, digits, `_`, `.` and `-`, at most 64.")
    return text


def _provider(text: str) -> str:
    if text and not _RESOURCE_NAME.match(text):
        raise BadOption(f"`--provider {text}`: write the name of one, `process` or `docker`.")
    return text


def _duration(option: str, text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise BadOption(f"`{option} {text}`: write a time above zero, for example `{option} 30m`.")
    return seconds


def _distinct(mounts: tuple[VolumeMount, ...]) -> tuple[VolumeMount, ...]:
    paths = [mount.path for mount in mounts]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice:
        raise BadOption(f"Two volumes cannot both be mounted at `{twice}`: give each `--volume` its own path.")
    return tuple(sorted(mounts, key=lambda mount: mount.path))


def _maybe(text: str | None, read: Callable[[str], T]) -> T | None:
    return None if text is None else read(text)


def _expression(line: str, start: int) -> str:
    text = line[start:].strip()
    if not text:
        _usage("There is nothing to run: write `%gpu f(x)`, or a `%%gpu` cell with code below its first line.")
    return text


def _usage(text: str) -> NoReturn:
    raise UsageError(text) from None
