"""The line after *not isolated*: something a person can run."""

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


@pytest.mark.parametrize(("embedded", "then"), [(True, "%gpu_connect URL"), (False, "for each person")])
def test_it_is_a_command(embedded: bool, then: str) -> None:
    """A notebook's own runtime is mended by one of another user, a server by one for each person."""
    line = mend(embedded=embedded, read=kernel())
    assert "`sudo -iu cellburst cellburst runtime serve --host 127.0.0.1`" in line
    assert then in line
    assert "\n" not in line
    assert "sysctl" not in line


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
    """Where volumes cannot be shown, the setting that opens them is said; root needs none."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert f"`sudo sysctl -w {opens}`" in mend(embedded=True, read=kernel(**settings))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert "sysctl" not in mend(embedded=True, read=kernel(**settings))
