"""A recipe for people: the calls that made it, without what must stay private."""

from __future__ import annotations

import html

from kernel_bridge.protocol.images import COPY_STEPS, DEBIAN_SLIM, FILE_STEPS, MICROMAMBA, NOTEBOOK, ImageRecipe, Step

_HIDDEN = "…"


def as_calls(recipe: ImageRecipe) -> str:
    """Return one line that reads as the calls did."""
    return ".".join(["Image", *_base(recipe), *map(_call, _shown(recipe))])


def as_html(recipe: ImageRecipe) -> str:
    """Return a heading and a list of steps."""
    rows = "".join(f"<li><code>{html.escape(_call(step))}</code></li>" for step in _shown(recipe))
    title = f"<b>Image</b> {html.escape(recipe.base)}, Python {html.escape(recipe.python or 'of the image')}"
    return f"<div>{title} <small>{recipe.digest[:12]}</small>{f'<ol>{rows}</ol>' if rows else ''}</div>"


def _base(recipe: ImageRecipe) -> list[str]:
    match recipe.base:
        case base if base == NOTEBOOK:
            return ["from_notebook()"]
        case base if base in (DEBIAN_SLIM, MICROMAMBA):
            return [f"{base}({recipe.python!r})"]
    return []  # its first step says it


def _shown(recipe: ImageRecipe) -> list[Step]:
    return [step for step in recipe.steps if step.kind != "force_build"]


def _call(step: Step) -> str:
    match step.kind:
        case "index":
            return f"with_index({', '.join(step.args)})"
        case "env":
            return f"env({', '.join(item.partition('=')[0] for item in step.args)})"
        case "secret":
            return f"with_secrets({', '.join(step.args)})"
        case "from_dockerfile" | "run_function":
            return f"{step.kind}({step.args[0]!r})"
        case "dockerfile_commands":
            return f"dockerfile_commands({', '.join(map(repr, step.args[1:]))})"
        case kind if kind in FILE_STEPS | COPY_STEPS:
            return _files(step)
    return f"{step.kind}({', '.join(map(repr, step.args))})"


def _files(step: Step) -> str:
    names = step.args[1::2]
    what = f"{len(names)} files" if len(names) > 1 else "1 file"
    copy = ", copy=True" if step.kind in COPY_STEPS else ""
    return f"{step.kind.replace('copy_', 'add_')}({f'{step.args[0]!r}, ' if step.args[0] else ''}{what}{copy})"
