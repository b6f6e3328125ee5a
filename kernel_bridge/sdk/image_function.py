"""A function as a program: what `run_function` puts into a recipe.

The text is what a person wrote, so that a digest means the same tomorrow and the exported Dockerfile can be read.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from kernel_bridge.errors import BadImage


def function_program(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a Python program that defines a function with what it names, and calls it.

    Names may be modules, plain values and functions of the same kind. Raises BadImage naming what is none of these.
    """
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise BadImage("run_function wants a function written with `def`.")
    if function.__closure__:
        raise BadImage(
            f"run_function: `{function.__name__}` uses variables of a function around it: pass them in `args`."
        )
    definitions: dict[str, str] = {}
    _define(function, definitions)
    values = [_literal(value, f"an argument of `{function.__name__}`") for value in args]
    named = [f"{name}={_literal(value, f'`{name}`')}" for name, value in kwargs.items()]
    call = f"{function.__name__}({', '.join([*values, *named])})"
    return "\n".join([*_ordered(definitions), f"if __name__ == '__main__':\n    {call}\n"])


def _define(function: FunctionType, definitions: dict[str, str]) -> None:
    definitions[function.__name__] = _source(function)
    for name in sorted(_globals(function)):
        if name in definitions or (name not in function.__globals__ and hasattr(builtins, name)):
            continue
        if name not in function.__globals__:
            raise BadImage(f"run_function: `{function.__name__}` uses `{name}`, which is not defined.")
        value = function.__globals__[name]
        if isinstance(value, FunctionType) and value.__name__ == name and value.__module__ == function.__module__:
            _define(value, definitions)
        elif isinstance(value, ModuleType):
            definitions[name] = f"import {value.__name__} as {name}\n"
        elif isinstance(value, type | FunctionType) and value.__module__ not in ("__main__", function.__module__):
            definitions[name] = f"from {value.__module__} import {value.__name__} as {name}\n"
        else:
            definitions[name] = f"{name} = {_literal(value, f'`{name}`, which `{function.__name__}` uses,')}\n"


def _globals(function: FunctionType) -> set[str]:
    """Names the function looks up outside itself, by its text: nested functions are part of it."""
    tree = ast.parse(_source(function))
    table = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {alias.asname or alias.name.partition(".")[0] for alias in _imported(tree)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    return table - (bound - {function.__name__}) - {function.__name__}


def _imported(tree: ast.AST) -> list[ast.alias]:
    return [alias for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]


def _source(function: FunctionType) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise BadImage(f"run_function: the source of `{function.__name__}` cannot be read.") from None
    tree = ast.parse(source)
    [definition] = tree.body
    if isinstance(definition, ast.AsyncFunctionDef):
        raise BadImage(f"run_function: `{function.__name__}` is async; call it from a plain function.")
    if isinstance(definition, ast.FunctionDef) and definition.decorator_list:
        raise BadImage(f"run_function: `{function.__name__}` has a decorator, which an image cannot have.")
    return source if source.endswith("\n") else f"{source}\n"


def _literal(value: Any, what: str) -> str:
    text = repr(value)
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        same = False
    if not same or isinstance(value, set):
        raise BadImage(f"run_function: {what} is no plain value (text, numbers, lists, dicts): make it inside.")
    return text


def _ordered(definitions: Mapping[str, str]) -> list[str]:
    """Imports and values first: a default of a parameter may need them."""
    return sorted(
        definitions.values(), key=lambda text: (text.startswith("def "), not text.startswith(("import", "from")))
    )
