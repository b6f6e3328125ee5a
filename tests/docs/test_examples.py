"""The examples of the guides do what the page says they do."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.docs.pages import DOCS, examples
from tests.state.conftest import config, shell  # noqa: F401 - fixtures

PAGES = [
    DOCS / "quickstart.md",
    DOCS / "guides" / "watching.md",
    DOCS / "guides" / "state.md",
    DOCS / "guides" / "volumes.md",
    DOCS / "guides" / "images.md",
]
pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(
    shell: InteractiveShell,  # noqa: F811 - the fixture above
    page: Path,
) -> None:
    """Every cell does as the page says: it prints what stands under it, and raises only what stands there."""
    for example in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            result = shell.run_cell(example.code)
        error = result.error_before_exec or result.error_in_exec
        said = printed.getvalue() + (f"{type(error).__name__}: {error}" if error else "")
        where = f"{page.name}:{example.line}"
        for line in filter(None, map(str.strip, example.output.splitlines())):
            assert line in said, where
        assert error is None or type(error).__name__ in example.output, f"{where}: {error!r}"
