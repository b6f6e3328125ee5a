"""A cell's code -> what it needs: names, modules and files. Nothing is started here, and nothing sent."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_ext.arguments import CellOptions
from jupyter_ext.failures import syntax_error
from jupyter_ext.notebook import is_history_name, user_names
from kernel_bridge.capture.analysis import CellNames, cell_names
from kernel_bridge.capture.credentials import held_back
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
    paths: tuple[str, ...]  # strings that may name files
    dynamic: bool


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
    check_credentials({name: namespace[name] for name in names if name not in options.names_in})
    return CapturedCell(
        code=code,
        names=tuple(names),
        perhaps=_unsuspicious(visible - names.keys(), namespace) if dynamic else (),
        needed=frozenset(read).difference(found.writes).union(options.names_in),
        visible=visible,
        modules=frozenset(found.imports) | frozenset(reach.modules),
        paths=tuple(found.path_strings),
        dynamic=dynamic,
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


def _unsuspicious(names: Iterable[str], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    values = {name: namespace[name] for name in names}
    return tuple(sorted(values.keys() - held_back(values).keys()))


def _as_ipython_shows_it(shell: Any, code: str) -> BaseException:
    """Compile again under the name that IPython gives a cell, so that the error shows the line."""
    try:
        source = shell.transform_cell(code)
        name = shell.compile.cache(source, shell.execution_count, raw_code=code)
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
