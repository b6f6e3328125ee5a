"""Tab completion for the magics' lines: what can stand at the cursor. IPython hands it to every front end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from jupyter_ext.arguments import OPTIONS
from jupyter_ext.catalogue import Catalogue, Offered
from jupyter_ext.log_view import LAST
from jupyter_ext.log_view import OPTIONS as LOG_OPTIONS
from jupyter_ext.preferences import KEYS
from jupyter_ext.session import Sessions
from jupyter_ext.words import Token, split
from kernel_bridge.capture.analysis import SHELL_NAMES, cell_names
from kernel_bridge.protocol.logs import LEVELS
from kernel_bridge.protocol.resources import ANY, CARDS, CPU, is_gpu_spec
from kernel_bridge.sdk.image import Image
from kernel_bridge.sdk.secret import Secret
from kernel_bridge.sdk.volume import Volume

_LINE: Final = re.compile(r"(?:[\w\s,.*\[\]'\"]+=)?\s*(%%?)(gpu\w*)[ \t]+")
_FLAGS: Final = frozenset(name for name, settings in OPTIONS if settings.get("action") == "store_true")
_REPEATABLE: Final = frozenset(name for name, settings in OPTIONS if settings.get("action") == "append")
_NAMES: Final = tuple(name for name, _ in OPTIONS if name.startswith("--"))
_PRIORITY: Final = 200.0  # before IPython's own, which are 100 at most
_SIMULATE: Final = "simulate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What there is to choose from."""

    offered: Offered
    namespace: Mapping[str, Any]  # the user's names
    bound: frozenset[str] = frozenset()  # by the cell below the line
    sessions: tuple[str, ...] = ()  # of this notebook, by name and id


@dataclass(frozen=True, slots=True)
class Found:
    """What the words at the cursor replace, what they are, and the words."""

    fragment: str
    kind: str = ""
    words: tuple[str, ...] = ()
    alone: bool = True  # nothing else can stand there


def install(shell: Any, sessions: Sessions) -> Callable[[], None]:
    """Complete the magics of a shell; return what takes that away again."""
    catalogue = Catalogue(sessions.config)

    def match_magics(context: CompletionContext) -> SimpleMatcherResult:
        found = complete(
            context.full_text,
            context.cursor_line,
            context.cursor_position,
            lambda body: _surroundings(shell, sessions, catalogue, body),
        )
        return _result(found)

    matcher: Any = context_matcher(identifier="cellburst.magics", priority=_PRIORITY)(match_magics)
    matchers: list[Any] = shell.Completer.custom_matchers
    matchers.append(matcher)
    return lambda: matchers.remove(matcher)


def complete(text: str, row: int, column: int, surroundings: Callable[[str], Surroundings]) -> Found | None:
    """Return what can stand at the cursor; None where that is no business of ours.

    `surroundings` is asked, with the cell's text below the line, only when the cursor stands in one of our magics.
    """
    lines = text.split("\n")
    before = lines[row][:column]
    begun = _LINE.match(before)
    if begun is None or (begun[1] == "%%" and any(line.strip() for line in lines[:row])):
        return None
    words, fragment = _at_cursor(before[begun.end() :])
    around = surroundings("\n".join(lines[row + 1 :]) if begun[1] == "%%" else "")
    if begun[2] == "gpu":
        return _gpu(words, fragment, around, whole_cell=begun[1] == "%%")
    return _other(begun[2], words, fragment, around)


def _at_cursor(line: str) -> tuple[list[Token], str]:
    """Return the words before the cursor's, and what is written of that one; `a, ` goes on."""
    tokens = split(line)
    open_list = bool(tokens) and tokens[-1].text.endswith(",")
    if not tokens or (line[-1].isspace() and not open_list):
        return tokens, ""
    return tokens[:-1], line[tokens[-1].start :]


def _gpu(words: list[Token], fragment: str, around: Surroundings, *, whole_cell: bool) -> Found | None:
    texts = [word.text for word in words]
    option, equals, value = fragment.partition("=")
    if equals and option in _NAMES:
        return _value(option, value, around)
    if texts and texts[-1] in _NAMES and texts[-1] not in _FLAGS:
        return _value(texts[-1], fragment, around)
    if not _only_options(texts, whole_cell=whole_cell):
        return None  # in the expression of a `%gpu`
    if fragment.startswith("-"):
        return _chosen("option", fragment, _options(texts))
    has_spec = any(is_gpu_spec(word) for word in _positional(texts))
    cards = () if has_spec else _cards(fragment, around.offered)
    options = () if fragment else _options(texts)
    return _chosen("card", fragment, (*cards, *options), alone=whole_cell)


def _value(option: str, text: str, around: Surroundings) -> Found:
    """Complete an option's value, or the last entry of its list."""
    if option in {"--in", "--out", "--leave"}:
        names = _variables(around) if option == "--in" else _variables(around) | around.bound
        return _listed("variable", text, sorted(names))
    if option == "--image":
        return _chosen("image", text, _of_type(around, Image), alone=False)
    if option == "--volume":
        return _volume(text, around)
    if option == "--model-cache":
        return _chosen("volume", text, (*around.offered.volumes, *_of_type(around, Volume)))
    if option == "--secret":
        return _chosen("secret", text, (*around.offered.secrets, *_of_type(around, Secret)))
    if option == "--session":
        return _chosen("session", text, around.offered.sessions)
    return Found(text)


def _volume(text: str, around: Surroundings) -> Found:
    name, colon, rest = text.partition(":")
    if rest.startswith("/") and ":" in rest:
        return _chosen("volume", text, (f"{name}:{rest.partition(':')[0]}:ro",))
    names = (*around.offered.volumes, *_of_type(around, Volume))
    return _chosen("volume", text, [f"{each}:/{each}" for each in names if not colon or each == name])


def _other(magic: str, words: list[Token], fragment: str, around: Surroundings) -> Found | None:
    if magic == "gpu_config":
        return _setting(fragment, around)
    if magic == "gpu_logs":
        return _logs(words, fragment, around)
    if words:
        return None
    choices: dict[str, tuple[str, ...]] = {
        "gpu_stop": around.sessions,
        "gpu_reset": around.sessions,
        "gpu_connect": ("local",),
        "gpu_keep_warm": ("off",),
    }
    return _chosen("argument", fragment, choices[magic]) if magic in choices else None


def _logs(words: list[Token], fragment: str, around: Surroundings) -> Found:
    option, equals, value = fragment.partition("=")
    before, text = (option, value) if equals else (words[-1].text if words else "", fragment)
    values: dict[str, Iterable[str]] = {
        "--cell": (LAST,),
        "--session": around.sessions,
        "--level": LEVELS,
        "--lines": (),
    }
    if before in values:
        return _chosen("argument", text, values[before])
    used = {word.text.partition("=")[0] for word in words}
    return _chosen("option", fragment, [name for name, _ in LOG_OPTIONS if name not in used])


def _setting(fragment: str, around: Surroundings) -> Found:
    key, equals, text = fragment.partition("=")
    if not equals:
        return _chosen("setting", fragment, [f"{name}=" for name in (*KEYS, _SIMULATE)])
    if key == "volumes":
        done, _, last = text.rpartition(",")
        found = _volume(last, around)
        return found if found.words or not done else Found(last)
    if key == "secrets":
        return _listed("secret", text, (*around.offered.secrets, *_of_type(around, Secret)))
    choices: dict[str, Iterable[str]] = {
        "gpu": _cards(text, around.offered),
        "image": _of_type(around, Image),
        "writeback_limit": ("auto",),
        _SIMULATE: (f"{card}:1" for card in CARDS),
        **dict.fromkeys(("cpu", "memory", "timeout"), ("none",)),
    }
    return _chosen("setting", text, choices.get(key, ()))


def _cards(text: str, offered: Offered) -> tuple[str, ...]:
    """Return the cards that go on from `A100,H`: the runtime's, else all that have a name."""
    done, comma, _ = text.rpartition(",")
    names = [card for card, _ in offered.cards] or list(CARDS)
    many = [f"{card}:{count}" for card, total in offered.cards for count in (2, 4, 8) if count <= total]
    alone = [] if comma else [ANY, CPU]
    taken = set(done.split(","))
    return tuple(f"{done}{comma}{name}" for name in (*names, *many, *alone) if name not in taken)


def _options(texts: list[str]) -> list[str]:
    used = {text.partition("=")[0] for text in texts}
    return [name for name in _NAMES if name not in used or name in _REPEATABLE]


def _positional(texts: list[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    found, value_next = [], False
    for text in texts:
        if value_next:
            value_next = False
        elif text.startswith("--"):
            value_next = text not in _FLAGS and "=" not in text
        else:
            found.append(text)
    return found


def _only_options(texts: list[str], *, whole_cell: bool) -> bool:
    """Tell whether another option or a card may follow: in a `%gpu` not after its expression began."""
    rest = _positional(texts)
    return "--" not in texts and (whole_cell or not rest or (len(rest) == 1 and is_gpu_spec(rest[0])))


def _variables(around: Surroundings) -> frozenset[str]:
    return frozenset(
        name
        for name, value in around.namespace.items()
        if not name.startswith("_") and name not in SHELL_NAMES and not isinstance(value, ModuleType)
    )


def _of_type(around: Surroundings, kind: type) -> list[str]:
    return sorted(name for name, value in around.namespace.items() if isinstance(value, kind) and name[:1] != "_")


def _listed(kind: str, text: str, names: Iterable[str]) -> Found:
    """Complete the last entry of a list by those that are not in it."""
    done, _, last = text.rpartition(",")
    taken = {each.strip() for each in done.split(",")}
    return _chosen(kind, last.lstrip(), [name for name in names if name not in taken])


def _chosen(kind: str, fragment: str, words: Iterable[str], *, alone: bool = True) -> Found:
    found = dict.fromkeys(word for word in words if word.startswith(fragment) and word != fragment)
    return Found(fragment, kind, tuple(found), alone)


def _surroundings(shell: Any, sessions: Sessions, catalogue: Catalogue, body: str) -> Surroundings:
    hidden = shell.user_ns_hidden
    namespace = {name: value for name, value in shell.user_ns.items() if hidden.get(name, hidden) is not value}
    known = [each for session in sessions for each in (session.info.spec.name, session.info.id) if each]
    return Surroundings(
        offered=catalogue.look(), namespace=namespace, bound=_bound(shell, body), sessions=tuple(dict.fromkeys(known))
    )


def _bound(shell: Any, body: str) -> frozenset[str]:
    """Return what the cell binds, as far as it can be read already."""
    try:
        return cell_names(shell.transform_cell(body)).writes
    except SyntaxError:
        return frozenset()


def _result(found: Found | None) -> SimpleMatcherResult:
    if found is None:
        return SimpleMatcherResult(completions=[])
    completions = [SimpleCompletion(text=word, type=found.kind) for word in found.words]
    return SimpleMatcherResult(
        completions=completions, suppress=found.alone, matched_fragment=found.fragment, ordered=True
    )
