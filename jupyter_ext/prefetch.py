"""A cell's code -> what it needs: names, modules and files. Nothing is started here, and nothing sent."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from jupyter_ext.arguments import CellOptions
from jupyter_ext.failures import syntax_error
from jupyter_ext.notebook import cell_number, is_history_name, user_names
from kernel_bridge.capture.analysis import CellNames, cell_names
from kernel_bridge.capture.credentials import held_back
from kernel_bridge.capture.randomness import may_draw
from kernel_bridge.capture.reach import expand
from kernel_bridge.errors import BadOption, CredentialHeldBack

_BUILTINS: Final = frozenset(vars(builtins))


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedCell:
    """What a cell needs of the notebook."""

    code: str
    names: tuple[str, ...]  # surely or very likely read: shipped ahead
    perhaps: tuple[str, ...]  # a dynamic cell may read any name: shipped ahead where small
    needed: frozenset[str]  # the cell names these and does not bind them: if one cannot travel, it cannot run
    visible: frozenset[str]  # every name of the user's
    modules: frozenset[str]
    submodules: tuple[str, ...] = ()  # imported here and used as a package's attribute: a package alone has them not
    paths: tuple[str, ...]  # strings that may name files
    path_words: tuple[str, ...] = ()  # parts of strings that may
    dynamic: bool
    draws: bool  # perhaps, from global generators of random numbers


def capture(shell: Any, code: str, options: CellOptions) -> CapturedCell:
    """Find what a cell needs; raises for what is no Python, for `--in` of nothing, for credentials."""
    namespace = shell.user_ns
    found = analyse(shell, code)
    visible = frozenset(user_names(namespace, shell.user_ns_hidden))
    _check_exist(options.names_in, namespace)
    read = [name for name in found.reads if _may_ship(name, visible, namespace)]
    shadowing = visible & _BUILTINS
    reach = expand(dict.fromkeys((*sorted(read), *options.names_in, *sorted(shadowing))), namespace)
    names = dict.fromkeys((*sorted(read), *options.names_in, *sorted(shadowing)))
    names |= dict.fromkeys(sorted(name for name in reach.names if _may_ship(name, visible, namespace)))
    dynamic = found.dynamic or reach.dynamic
    submodules = _submodules(found.chains | reach.chains, namespace)
    modules = frozenset(found.imports) | reach.modules | submodules
    check_credentials({name: namespace[name] for name in names if name not in options.names_in})
    return CapturedCell(
        code=code,
        names=tuple(names),
        perhaps=_unsuspicious(visible - names.keys(), namespace) if dynamic else (),
        needed=frozenset(read).difference(found.writes).union(options.names_in),
        visible=visible,
        modules=modules,
        submodules=tuple(sorted(submodules, key=len)),
        paths=tuple(found.path_strings),
        path_words=tuple(found.path_words),
        dynamic=dynamic,
        draws=dynamic or may_draw(modules),
    )


def analyse(shell: Any, code: str) -> CellNames:
    """Read the code as IPython would; raises the syntax error that IPython would show."""
    try:
        source = shell.transform_cell(code)
        tree = ast.parse(source)
        compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return cell_names(source, shell.transform_cell)
    except SyntaxError:
        pass
    raise _as_ipython_shows_it(shell, code)


def check_credentials(values: Mapping[str, object]) -> None:
    """Stop before a value that looks like a credential travels; raises CredentialHeldBack."""
    for name, reason in held_back(values).items():
        raise CredentialHeldBack(f"{name} looks like {reason}; nothing was sent. Use `--secret NAME` or `--in {name}`.")


def _submodules(chains: Iterable[str], namespace: Mapping[str, Any]) -> frozenset[str]:
    """Return the modules behind attributes such as `xml.dom`, where `xml` is a package here."""
    found = set()
    for chain in chains:
        root, *parts = chain.split(".")
        package = namespace.get(root)
        for part in parts:
            inner = vars(package).get(part) if isinstance(package, ModuleType) else None
            if not isinstance(package, ModuleType) or not isinstance(inner, ModuleType):
                break
            if sys.modules.get(f"{package.__name__}.{part}") is not inner:
                break
            package = inner
            found.add(inner.__name__)
    return frozenset(found)


def _unsuspicious(names: Iterable[str], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    values = {name: namespace[name] for name in names}
    return tuple(sorted(values.keys() - held_back(values).keys()))


def _as_ipython_shows_it(shell: Any, code: str) -> BaseException:
    """Compile again under the name that IPython gives a cell, so that the error shows the line."""
    try:
        source = shell.transform_cell(code)
        # A cell magic is given its cell with a line break that the front end has not sent.
        name = shell.compile.cache(source, cell_number(shell), raw_code=code.removesuffix("\n"))
        tree = compile(source, name, "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        compile(tree, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return syntax_error(shell, error)
    return SyntaxError("the cell could not be read")


def _check_exist(names: Iterable[str], namespace: Mapping[str, Any]) -> None:
    for name in names:
        if name not in namespace:
            raise BadOption(f"`--in {name}`: the notebook has no `{name}`.")


def _may_ship(name: str, visible: frozenset[str], namespace: Mapping[str, Any]) -> bool:
    return name in visible or (is_history_name(name) and name in namespace)
