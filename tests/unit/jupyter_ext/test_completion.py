"""What can stand at the cursor, in a table; and the way through IPython's completer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter

import cellburst
import jupyter_ext
from jupyter_ext.catalogue import Catalogue, Offered
from jupyter_ext.completion import Surroundings, complete
from kernel_bridge.config import Address, ClientConfig

OFFERED = Offered(
    cards=(("A100", 2), ("H100", 1)), volumes=("models",), secrets=("hf", "wandb"), sessions=("shared",)
)  # fmt: skip
NAMESPACE = {
    "image": cellburst.Image.debian_slim(),
    "store": cellburst.Volume.from_name("store"),
    "key": cellburst.Secret.from_name("key"),
    "data": [1],
    "delta": 2,
    "_hidden": 3,
    "path": pytest,
}


def at(line: str, body: str = "") -> tuple[str, tuple[str, ...]] | None:
    """Complete at the end of a line; return what is replaced and by what."""
    around = Surroundings(
        offered=OFFERED, namespace=NAMESPACE, bound=frozenset({"answer"}) if body else frozenset(), sessions=("s1",)
    )
    found = complete(f"{line}\n{body}", 0, len(line), lambda _: around)
    return None if found is None else (found.fragment, found.words)


@pytest.mark.parametrize(
    ("line", "fragment", "words"),
    [
        ("%%gpu A", "A", ("A100", "A100:2")),
        ("%%gpu a", "a", ("any",)),
        ("%%gpu H100,A", "H100,A", ("H100,A100", "H100,A100:2")),
        ("%%gpu A100 --vo", "--vo", ("--volume",)),
        ("%%gpu --quiet --q", "--q", ()),
        ("%%gpu --volume models:/m --vo", "--vo", ("--volume",)),
        ("%%gpu --image im", "im", ("image",)),
        ("%%gpu --image=im", "im", ("image",)),
        ("%%gpu --volume ", "", ("models:/models", "store:/store")),
        ("%%gpu --volume models:", "models:", ("models:/models",)),
        ("%%gpu --volume models:/m:", "models:/m:", ("models:/m:ro",)),
        ("%%gpu --secret ", "", ("hf", "wandb", "key")),
        ("%%gpu --secret hf --secret w", "w", ("wandb",)),
        ("%%gpu --session s", "s", ("shared",)),
        ("%%gpu --in d", "d", ("data", "delta")),
        ("%%gpu --in data,d", "d", ("delta",)),
        ("%%gpu --in data, d", "d", ("delta",)),
        ("%%gpu --leave=de", "de", ("delta",)),
        ("%%gpu --timeout 3", "3", ()),
        ("%gpu A", "A", ("A100", "A100:2")),
        ("z = %gpu --in da", "da", ("data",)),
        ("%gpu_config me", "me", ("memory=",)),
        ("%gpu_config gpu=H", "H", ("H100",)),
        ("%gpu_config idle=5m secrets=hf,w", "w", ("wandb",)),
        ("%gpu_config volumes=models:/m,st", "st", ("store:/store",)),
        ("%gpu_config writeback_limit=", "", ("auto",)),
        ("%gpu_config simulate=B2", "B2", ("B200:1",)),
        ("%gpu_stop s", "s", ("s1",)),
        ("%gpu_connect l", "l", ("local",)),
        ("%gpu_keep_warm o", "o", ("off",)),
        ("%gpu_logs --cell last --le", "--le", ("--level",)),
        ("%gpu_logs --level e", "e", ("error",)),
        ("%gpu_logs --session=s", "s", ("s1",)),
    ],
)
def test_what_can_stand_there(line: str, fragment: str, words: tuple[str, ...]) -> None:
    """Options, cards, names of the notebook and of the runtime; the last entry of a list."""
    assert at(line) == (fragment, words)


def test_out_and_leave_know_what_the_cell_binds() -> None:
    """A name need not exist yet to be brought home."""
    assert at("%%gpu --out a", "answer = 1") == ("a", ("answer",))
    assert at("%%gpu --in a", "answer = 1") == ("a", ())


def test_a_card_is_written_once_and_options_follow() -> None:
    """After the card there are options only."""
    found = at("%%gpu A100 ")
    assert found is not None
    assert "H100" not in found[1]
    assert "--image" in found[1]


@pytest.mark.parametrize(
    "line", ["x = gpu", "%gpu f(x) --", "%gpu -- A", "%%gp", "print(%", "%gpu_get a", "# %%gpu A1"]
)
def test_elsewhere_it_says_nothing(line: str) -> None:
    """An expression, a magic's own name and other lines are IPython's."""
    assert at(line) is None


def test_a_cell_magic_is_one_in_the_first_line_only() -> None:
    """Below code it would be no magic."""
    assert complete("x = 1\n%%gpu A", 1, 7, lambda _: Surroundings(offered=OFFERED, namespace={})) is None
    assert complete("\n%%gpu A", 1, 7, lambda _: Surroundings(offered=OFFERED, namespace={})) is not None


@pytest.fixture
def loaded(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with the extension and no runtime."""
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"CELLBURST_{name}_DIR", str(tmp_path / name))
    jupyter_ext.load_ipython_extension(shell)
    yield shell
    jupyter_ext.unload_ipython_extension(shell)


def texts(shell: Any, code: str, offset: int | None = None) -> list[str]:
    """Return what a front end is offered."""
    with provisionalcompleter():
        return [each.text for each in shell.Completer.completions(code, len(code) if offset is None else offset)]


def test_the_shell_offers_it_alone(loaded: Any, tmp_path: Path) -> None:
    """Files, builtins and Jedi's guesses do not stand between; no runtime is started for it."""
    loaded.run_cell("import cellburst\ndata, big = 1, 2\nimage = cellburst.Image.debian_slim()").raise_error()
    assert texts(loaded, "%%gpu --in da\nlen(data)", 13) == ["data"]
    assert texts(loaded, "%%gpu --image ima") == ["image"]
    assert texts(loaded, "%%gpu --out an\nanswer = 1", 14) == ["answer"]
    assert texts(loaded, "%%gpu L4") == ["L40S"]
    assert "exit" not in texts(loaded, "%%gpu --in ")
    assert list(tmp_path.iterdir()) == []


def test_python_is_completed_as_before(loaded: Any) -> None:
    """Below the magic's line, and in the expression of a `%gpu`."""
    loaded.run_cell("some_name = 1").raise_error()
    assert "some_name" in texts(loaded, "%%gpu cpu\nsome_na")
    assert "some_name" in texts(loaded, "some_na")


def test_unloading_takes_it_away(loaded: Any) -> None:
    """No matcher of ours is left."""
    before = len(loaded.Completer.custom_matchers)
    jupyter_ext.unload_ipython_extension(loaded)
    assert len(loaded.Completer.custom_matchers) == before - 1


def test_a_runtime_that_does_not_answer_costs_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look returns with nothing while the thread still waits; what it learns is there the next time."""
    import threading

    gate = threading.Event()

    def slow(plane: object) -> Offered:
        assert gate.wait(30)
        return OFFERED

    monkeypatch.setattr("jupyter_ext.catalogue._offered", slow)
    config: Any = SimpleNamespace(connected=Address("http://127.0.0.1:9", "token"))
    catalogue = Catalogue(lambda: config)
    assert catalogue.look() == Offered()
    asking = catalogue._asking
    assert asking is not None
    gate.set()
    asking.join(30)
    assert catalogue.look() == OFFERED


def test_a_runtime_that_never_ran_is_not_asked(tmp_path: Path) -> None:
    """Without a token's file there is nothing to talk to, and nothing is made."""
    env = {f"CELLBURST_{name}_DIR": str(tmp_path / name) for name in ("DATA", "CONFIG", "RUNTIME")}
    catalogue = Catalogue(lambda: ClientConfig.load(env))
    assert catalogue.look() == Offered()
    assert catalogue._asking is None
    assert list(tmp_path.iterdir()) == []
