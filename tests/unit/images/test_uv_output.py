"""What uv says when it fails, as one line."""

from __future__ import annotations

import pytest

from remote_runtime.images.uv import UvRefused, build_failed, failing_line

NEW = """Resolved nothing
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99.1 and you require numpy==99.1, \
we can conclude that your requirements are unsatisfiable.

hint: look elsewhere"""
OLD = """  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because nosuch was not found in the
      package registry and you require nosuch, we can conclude that your
      requirements are unsatisfiable."""
BUILD = """error: Failed to build `broken==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)"""
PARSE = """error: Failed to parse: `numpy=1.0`
  cause: no such comparison operator "=", must be one of ~= == != <= >= < > ===
         numpy=1.0
              ^^^^"""


@pytest.mark.parametrize(
    ("output", "requirements", "says"),
    [
        (NEW, ["scipy", "numpy==99.1"], "Could not install `numpy==99.1`: Because there is no version of numpy==99.1"),
        (OLD, ["nosuch"], "Could not install `nosuch`: Because nosuch was not found in the package registry and you"),
        (
            BUILD,
            ["fine", "broken==1.0"],
            "Could not install `broken==1.0`: Call to `setuptools.build_meta.build_wheel`",
        ),
        (PARSE, ["numpy=1.0"], "Could not install `numpy=1.0`: no such comparison operator"),
        ("error: Something else", ["a", "b"], "The environment could not be made: Something else."),
        ("", [], "The environment could not be made: uv ended without saying why."),
    ],
)
def test_the_error_names_the_requirement_and_the_reason(output: str, requirements: list[str], says: str) -> None:
    """In the words of uv's deepest cause, whichever way that version of uv draws it."""
    assert str(build_failed(UvRefused(output.splitlines()), requirements)).startswith(says)


def test_a_name_inside_another_is_not_at_fault() -> None:
    """`numpy` is not blamed for `numpy-financial`."""
    refused = UvRefused(["error: numpy_financial was not found"])
    assert "`numpy-financial`" in str(build_failed(refused, ["numpy", "numpy-financial"]))


def test_the_usual_ending_is_left_out() -> None:
    """It says nothing that the rest does not."""
    assert failing_line(NEW.splitlines()) == "Because there is no version of numpy==99.1 and you require numpy==99.1."
