"""Pickling that never ends, has no end of content or has effects of its own (U5, U6); finalizers run once (U12)."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.guard import Guard, OverLimit, TooMuch
from kernel_bridge.codecs.pickler import pack

ENDLESS = (
    "import itertools\nclass Endless:\n    def __reduce__(self):\n"
    "        return (list, (), None, (bytes(60_000 + n % 7) for n in itertools.count()))"
)
SLEEPS = (
    "import time\nclass Sleeps:\n    def __reduce__(self):\n"
    "        print('begun', flush=True)\n        time.sleep(3600)\n        return (int, ())"
)


def test_a_value_that_makes_no_progress_is_given_up() -> None:
    """After a time the one value is refused; the thread that watches ends what it waits in."""
    guard = Guard(stall_s=0.3)
    with pytest.raises(TooMuch, match=r"made no progress for 0\.3 s"), guard.watching(lambda: 0):
        time.sleep(3600)


def test_a_value_that_makes_progress_is_waited_for() -> None:
    """However long it takes."""
    guard = Guard(stall_s=0.3)
    until_s = time.monotonic() + 1.2
    with guard.watching(time.monotonic_ns):
        while time.monotonic() < until_s:
            time.sleep(0.05)


def test_an_interrupt_of_the_users_stays_one() -> None:
    """Ctrl-C while a value is pickled is the user's, and no other value's reason."""
    guard = Guard()
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), guard.watching(lambda: 0):
        time.sleep(3600)
    timer.join()


def test_a_pickle_over_its_limit_is_given_up_early() -> None:
    """What is larger than may come home is not made to its end."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(ENDLESS, names)
    with pytest.raises(OverLimit):
        pack(names["Endless"](), names, ReferenceTable(), Memory(), most_bytes=1 << 20)


def test_a_value_without_end_that_a_cell_made_stays(shell: InteractiveShell) -> None:
    """It becomes a handle, and the rest of the cell comes home."""
    shell.run_cell("%gpu_config writeback_limit=1M").raise_error()
    shell.run_cell(f"%%gpu A100\n{ENDLESS}\ne = Endless()\nn = 1").raise_error()
    shell.run_cell("%gpu_config writeback_limit=auto").raise_error()
    assert shell.user_ns["n"] == 1
    assert "write-back limit" in shell.user_ns["e"].info.reason


class Listening(io.StringIO):
    """A stdout that tells when something was said."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.heard = word, threading.Event()

    def write(self, text: str, /) -> int:
        """Take what is printed."""
        if self.word in text:
            self.heard.set()
        return super().write(text)


def interrupt_after(begun: threading.Event, seconds: float) -> threading.Thread:
    """Press Ctrl-C so long after something has begun."""

    def press() -> None:
        if begun.wait(60):
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_an_interrupt_frees_a_cell_whose_value_never_comes(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell has run; the value that hangs stays, with its reason, and the rest comes home."""
    monkeypatch.setattr("sys.stdout", said := Listening("begun"))
    thread = interrupt_after(said.heard, 3.0)
    result = shell.run_cell(f"%%gpu A100\n{SLEEPS}\ns = Sleeps()\nm = 2")
    thread.join()
    assert result.success, result.error_in_exec
    assert shell.user_ns["m"] == 2
    assert "interrupted" in shell.user_ns["s"].info.reason
    shell.run_cell("%%gpu A100\ndel s").raise_error()  # else it is waited for once more when the state is saved


def test_a_local_value_that_hangs_is_interrupted_without_a_trace_of_ours(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before anything was sent ends the cell, and the next one runs."""
    shell.run_cell(f"{SLEEPS}\nhangs = Sleeps()").raise_error()
    monkeypatch.setattr("sys.stdout", said := Listening("begun"))
    thread = interrupt_after(said.heard, 0.2)
    result = shell.run_cell("%%gpu A100\nhangs")
    thread.join()
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "jupyter_ext" not in said.getvalue()
    shell.run_cell("del hangs\n").raise_error()
    shell.run_cell("%%gpu A100\nafter = 1").raise_error()


def test_pickling_with_effects_happens_here_once_a_cell(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reduction with a side effect runs when the value is sent, and a cell that does not need it runs none."""
    calls: list[int] = []
    monkeypatch.setattr("builtins.calls", calls, raising=False)
    tells = "class Tells:\n    def __reduce__(self):\n        import builtins\n"
    tells += "        getattr(builtins, 'calls', []).append(1)\n        return (Tells, ())\nt = Tells()"
    shell.run_cell(tells).raise_error()
    shell.run_cell("%%gpu A100\nunrelated = 1").raise_error()
    assert calls == []
    shell.run_cell("%%gpu A100\nkind = type(t).__name__").raise_error()
    assert (shell.user_ns["kind"], len(calls)) == ("Tells", 1)


FILE = (
    "import os\nclass Temp:\n    ended = []\n    def __init__(self, path): self.path, self.n = path, 0\n"
    "    def __del__(self): Temp.ended.append(self.path)\n"
)


def test_an_update_in_place_finalizes_nothing(shell: InteractiveShell) -> None:
    """The temporary object it was made from ends silently: the file of the one that stays is not deleted."""
    shell.run_cell(f"{FILE}t = Temp('a')").raise_error()
    shell.run_cell("%%gpu A100\nt.n += 1").raise_error()
    shell.run_cell("t.n += 1\nfor _ in 'ab': pass").raise_error()
    shell.run_cell("%%gpu A100\nt.n += 1\nseen = list(Temp.ended)").raise_error()
    assert (shell.user_ns["t"].n, shell.user_ns["Temp"].ended, shell.user_ns["seen"]) == (3, [], [])
    shell.run_cell("del t").raise_error()


def test_what_is_deleted_here_ends_once(shell: InteractiveShell) -> None:
    """The copy in the container goes without its finalizer: it ran here."""
    shell.run_cell(f"{FILE}t = Temp('b')").raise_error()
    shell.run_cell("%%gpu A100\nt.n += 1").raise_error()
    shell.run_cell("del t").raise_error()
    shell.run_cell("%%gpu A100\nfrom gc import collect\n_ = collect()\nthere = list(Temp.ended)").raise_error()
    assert shell.user_ns["there"] == shell.user_ns["Temp"].ended == ["b"]


@pytest.mark.slow
def test_what_a_cell_lets_go_of_ends_once(shell: InteractiveShell) -> None:
    """Its finalizer ran there; the object here goes without."""
    shell.run_cell(f"{FILE}t = Temp('c')").raise_error()
    shell.run_cell("%%gpu A100\nt.n += 1").raise_error()
    shell.run_cell("%%gpu A100\nt.n += 1\ndel t").raise_error()
    assert "t" not in shell.user_ns
    assert shell.user_ns["Temp"].ended == ["c"]
