"""Credentials (U11): held back by the form of the value, wherever it is, before it is shipped; never by a name."""

from __future__ import annotations

import base64
import hashlib
import uuid

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.capture.credentials import looks_like_credential
from kernel_bridge.capture.credentials_inside import credential_inside

TOKEN = "ghp_" + "a1B2c3D4" * 5
RANDOM = "f3A9k2Lq8ZxW1vB7nM4c"

# What makes x, and the path under which its credential is told.
NESTED = [
    ("dict of dicts", f"x = {{'github': {{'auth': {TOKEN!r}}}}}", "x['github']['auth'] looks like a GitHub token"),
    ("list", f"x = [1, {TOKEN!r}]", "x[1] looks like a GitHub token"),
    (
        "object",
        f"class C: pass\nx = C(); x.conf = C(); x.conf.api_key = {RANDOM!r}",
        "x.conf.api_key looks like a random",
    ),
    ("slots", f"class C:\n    __slots__ = ('t',)\nx = C(); x.t = {TOKEN!r}", "x.t looks like a GitHub token"),
    ("class body", f"class x:\n    token = {TOKEN!r}", "x.token looks like a GitHub token"),
    ("closure", f"def m(t):\n    return lambda: t\nx = m({TOKEN!r})", "x (its closure's t) looks like a GitHub token"),
    ("default", f"def x(token={TOKEN!r}): return 1", "x (its argument token) looks like a GitHub token"),
    ("code", f"def x(): return {TOKEN!r}", "x (in its code) looks like a GitHub token"),
    (
        "method",
        "class C:\n    def go(self): pass\nc = C(); c.pwd = 'tR7!kd92Lm#qPz81'\nx = c.go",
        "x.__self__.pwd looks like",
    ),
    (
        "environment",
        f"import os\nx = dict(os.environ, HF={'hf_' + 'aB3' * 11!r})",
        "x['HF'] looks like a Hugging Face token",
    ),
    (
        "headers",
        f"x = {{'headers': {{'Authorization': 'Bearer {RANDOM}'}}}}",
        "x['headers']['Authorization'] looks like a header",
    ),
    ("URL", f"x = {{'url': 'postgresql://me:{RANDOM}@db/x'}}", "x['url'] looks like a URL with a password"),
    (
        "partial",
        f"import functools\nx = functools.partial(print, sep={TOKEN!r})",
        "x.keywords['sep'] looks like a GitHub token",
    ),
]

QUIET = {
    "key": str(uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)),
    "token": hashlib.sha256(b"x").hexdigest(),
    "git_key": hashlib.sha1(b"x", usedforsecurity=False).hexdigest(),
    "image": base64.b64encode(bytes(range(256)) * 8).decode(),
    "digest": "sha256:" + hashlib.sha256(b"y").hexdigest(),
    "password": "changeme",
    "name": "sk-learn-pipeline-version-two-final",
    "etag": RANDOM,
    "url": "postgresql://postgres:postgres@localhost/test",
    "keys": "a_long_name_of_a_column_2",
    "auth": "https://example.org/auth/v2/callback",
    "note": "Bearer of good news, as they say in 2026",
}


def test_credentials_inside_values_are_held_back_before_anything_is_shipped(shell: InteractiveShell) -> None:
    """One line names the path, and what to do; nothing was sent."""
    failed = {}
    for row, make, says in NESTED:
        shell.run_cell(make).raise_error()
        error = shell.run_cell("%%gpu A100\nseen = x").error_in_exec
        said = str(error)
        if type(error).__name__ != "CredentialHeldBack" or says not in said or "--in x" not in said or TOKEN in said:
            failed[row] = f"{type(error).__name__}: {said}"
    assert failed == {}
    assert "seen" not in shell.user_ns


def test_in_sends_it_all_the_same(shell: InteractiveShell) -> None:
    """`--in NAME` says that it is meant."""
    shell.run_cell(f"cfg = {{'auth': {TOKEN!r}}}").raise_error()
    shell.run_cell("%%gpu A100 --in cfg\nn = len(cfg['auth'])").raise_error()
    assert shell.user_ns["n"] == len(TOKEN)


def test_one_that_is_only_touched_is_not_paged(shell: InteractiveShell) -> None:
    """A name that the analysis did not see is refused when it is asked for."""
    shell.run_cell(f"hidden = {{'auth': {TOKEN!r}}}").raise_error()
    error = shell.run_cell("%%gpu A100\neval('hid' + 'den')").error_in_exec
    assert "hidden['auth'] looks like a GitHub token" in str(error)


@pytest.mark.parametrize("name", QUIET, ids=str)
def test_what_only_looks_odd_stays_quiet(name: str) -> None:
    """Hashes, ids, pictures, paths and words are no credentials, also under a telling name."""
    assert looks_like_credential(name, QUIET[name]) is None
    assert credential_inside("rows", [{name: QUIET[name]}], {}) == ""


def test_large_values_are_not_searched_to_the_end() -> None:
    """A search has an end: it looks at what is near the top."""
    assert credential_inside("big", [{"n": [index]} for index in range(100_000)], {}) == ""
