"""A magic's line and what it means."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError

from jupyter_ext.arguments import HELP, OPTIONS, CellOptions, parse_cell, parse_line
from kernel_bridge.protocol.sessions import VolumeMount


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("A100", {"gpu": "A100"}),
        ("a100-80gb", {"gpu": "A100-80GB"}),
        ("H100:8", {"gpu": "H100:8"}),
        ("H100, A100", {"gpu": "H100,A100"}),
        ("cpu", {"gpu": "cpu"}),
        ("--timeout 30m A100", {"gpu": "A100", "timeout_s": 1800.0}),
        ("--idle 5m --memory 16G --cpu 4", {"idle_after_s": 300.0, "memory_bytes": 16 << 30, "cpu": 4.0}),
        ("--image img", {"image": "img"}),
        ('--image cb.Image.x("a", "b c")', {"image": 'cb.Image.x("a", "b c")'}),
        ("--image 'x.y(1)'", {"image": "x.y(1)"}),
        ("--volume m:/models", {"volumes": (VolumeMount("m", "/models"),)}),
        ("--volume m/a//b/:/models:ro", {"volumes": (VolumeMount("m", "/models", True, "a/b"),)}),
        ("--volume m@3:/old", {"volumes": (VolumeMount("m", "/old", True, version=3),)}),
        ("--volume m@3/a:/old:ro", {"volumes": (VolumeMount("m", "/old", True, "a", 3),)}),
        ("--model-cache hub", {"model_cache": VolumeMount("hub", "/model-cache", model_cache=True)}),
        ("--volume b:/b:ro --volume a:/a/", {"volumes": (VolumeMount("a", "/a"), VolumeMount("b", "/b", True))}),
        ("--secret hf --secret hf --secret wandb", {"secrets": ("hf", "wandb")}),
        ("--in a,b --out c --leave d,e", {"names_in": ("a", "b"), "names_out": ("c",), "names_leave": ("d", "e")}),
        ("--in a, b", {"names_in": ("a", "b")}),
        ("--out ''", {"names_out": ()}),
        ("--session s1 --quiet --dry-run", {"session": "s1", "quiet": True, "dry_run": True}),
    ],
)  # fmt: skip
def test_a_cells_line_is_read(line: str, expected: dict[str, Any]) -> None:
    """Every option has one meaning, in any order."""
    assert parse_cell(line) == CellOptions(**expected)


@pytest.mark.parametrize(
    ("line", "gpu", "expression"),
    [
        ("f(x)", None, "f(x)"),
        ("A100 f(x, y=[1, 2])", "A100", "f(x, y=[1, 2])"),
        ("A100", None, "A100"),
        ("-- A100 + 1", None, "A100 + 1"),
        ("H100:8 -- cpu", "H100:8", "cpu"),
        ("--quiet --timeout 3m A100 'a  b' + c", "A100", "'a  b' + c"),
        ("A100 --in a -- --x", "A100", "--x"),
        ("-x", None, "-x"),
        ("x, y", None, "x, y"),
        ("Z9 + 1", None, "Z9 + 1"),
    ],
)
def test_a_line_is_options_then_a_card_then_an_expression(line: str, gpu: str | None, expression: str) -> None:
    """The first word is a card only if it is one and more follows it."""
    options, found = parse_line(line)
    assert (options.gpu, found) == (gpu, expression)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("A100 B200", "one word too many"),
        ("Z!", "names no card"),
        ("H100:9", "1 to 8 cards"),
        ("--imag x", "did you mean `--image`"),
        ("--timeout soon", "`30m`"),
        ("--timeout 0", "above zero"),
        ("--timeout", "expected one argument"),
        ("--cpu -1", "above zero"),
        ("--cpu nan", "above zero"),
        ("--memory 3X", "`16G`"),
        ("--volume models", "--volume NAME:/path"),
        ("--volume m@x:/m", "a version is a number"),
        ("--volume m@0:/m", "a version is a number"),
        ("--volume m@1:/m:rw", "read only"),
        ("--volume m/../x:/m", "without `..`"),
        ("--model-cache a/b", "name of a volume"),
        ("--volume m:/..", "absolute path"),
        ("--volume m:/x:rx", ":ro"),
        ("--volume a:/x --volume b:/x/", "own path"),
        ("--secret a=b", "never stand in a notebook"),
        ("--in a-b", "is not a name"),
        ("--session a/b", "letters, digits"),
    ],
)
def test_a_wrong_line_says_in_one_line_what_to_write(line: str, says: str) -> None:
    """No option fails with a traceback."""
    with pytest.raises(UsageError) as caught:
        parse_cell(line)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_without_an_expression_says_so() -> None:
    """`%gpu` alone runs nothing."""
    with pytest.raises(UsageError, match="nothing to run"):
        parse_line("--quiet")


def test_every_option_is_in_the_help() -> None:
    """`%%gpu?` shows what can be written."""
    assert all(name in HELP for name, _ in OPTIONS[1:])
