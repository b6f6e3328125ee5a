"""The line after a weak isolation: something a person can run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remote_runtime.providers.mending import mend


def kernel(**settings: str):
    """Return a reader of a kernel's settings."""
    known = {f"/proc/sys/{name.replace('__', '/')}": value for name, value in settings.items()}

    def read(path: Path) -> str:
        if str(path) not in known:
            raise FileNotFoundError(path)
        return f"{known[str(path)]}\n"

    return read


@pytest.mark.parametrize(
    ("word", "embedded", "said"),
    [
        ("sandboxed", False, ""),
        ("confined", True, ""),
        ("confined", False, "`sudo cellburst runtime serve`"),
        ("open", True, "(no pivot_root)"),
    ],
)
def test_it_says_what_is_weaker(word: str, embedded: bool, said: str) -> None:
    """One person's own runtime needs no root; several people's does; a host without walls says what it lacks."""
    line = mend(word, "no pivot_root", embedded=embedded, read=kernel())
    assert said in line
    assert bool(said) == bool(line)
    assert "\n" not in line


def test_what_the_operator_chose_is_said() -> None:
    """Without walls by choice, the line names the choice."""
    assert "CELLBURST_SANDBOX=on" in mend("open", "", embedded=False, read=kernel())


@pytest.mark.parametrize(
    ("settings", "opens"),
    [
        ({"kernel__unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=1"),
        (
            {"kernel__apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"user__max_user_namespaces": "0"}, "user.max_user_namespaces=15000"),
    ],
)
def test_closed_user_namespaces_are_named(
    settings: dict[str, str], opens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting that opens them is said to an ordinary user; root needs none."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert f"`sudo sysctl -w {opens}`" in mend("open", "unshare", embedded=True, read=kernel(**settings))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert "sysctl" not in mend("open", "unshare", embedded=True, read=kernel(**settings))
