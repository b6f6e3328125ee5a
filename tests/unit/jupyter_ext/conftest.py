"""A real IPython shell whose displays are collected as messages."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell


class CollectingPublisher(DisplayPublisher):
    """Keeps what is displayed, in order, as (kind, content)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
    ) -> None:
        kind = "update" if update else "display"
        self.shown.append((kind, {"data": data, "metadata": metadata or {}, "transient": transient or {}}))

    def clear_output(self, wait: bool = False) -> None:
        self.shown.append(("clear", {"wait": wait}))


class CollectingHook(DisplayHook):
    """Keeps execute results instead of printing them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.results: list[tuple[int, dict[str, Any], dict[str, Any]]] = []

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.results.append((self.prompt_count, format_dict, md_dict))


class FrontendShell(InteractiveShell):
    """A shell as ipykernel has it, as far as displays are concerned."""

    def init_display_pub(self) -> None:
        self.display_pub = CollectingPublisher(parent=self, shell=self)

    def init_displayhook(self) -> None:
        super().init_displayhook()
        self.displayhook = CollectingHook(parent=self, shell=self, cache_size=self.cache_size)
        self.display_trap.hook = self.displayhook


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fresh shell; its names are its own."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    FrontendShell.clear_instance()
    made = FrontendShell.instance()
    made.kernel = None
    yield made
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()
    FrontendShell.clear_instance()
