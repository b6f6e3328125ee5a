"""Which names live objects lead to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernel_bridge.capture.reach import expand


def namespace(code: str) -> dict[str, Any]:
    """Run a notebook's cells."""
    names: dict[str, Any] = {"__name__": "__main__", "np": np}
    exec("k = 1\nother = 2\ndef f(): return k\n" + code, names)
    return names


@pytest.mark.parametrize(
    ("code", "start"),
    [
        ("", "f"),
        ("def g(): return f()", "g"),
        ("D = {'f': [f]}", "D"),
        ("import functools\nP = functools.partial(f)", "P"),
        ("import functools\nC = functools.lru_cache(f)", "C"),
        ("import functools\n@functools.wraps(f)\ndef W(*a): return f(*a)", "W"),
        ("class M:\n    def fit(self): return k\nm = M()", "m"),
        ("class B:\n    def fit(self): return k\nclass M(B): pass\nm = M().fit", "m"),
        ("class M:\n    @property\n    def p(self): return k\nm = [M()]", "m"),
        ("def make():\n    def inner(): return f()\n    return inner\nc = make()", "c"),
        ("def d(x=f): return x", "d"),
        ("g = lambda: [k for _ in (1,)]", "g"),
        ("def local():\n    class A:\n        x = k\n    return A", "local"),
        ("import collections\nq = collections.defaultdict(f)", "q"),
    ],
)
def test_names_reached(code: str, start: str) -> None:
    """Whatever holds the function leads to the global it uses, and not to others."""
    reach = expand([start], namespace(code))
    assert "k" in reach.names
    assert "other" not in reach.names


def test_modules_and_dynamic_code() -> None:
    """Packages come from types, globals and imports inside functions; eval is told."""
    names = namespace(
        "x = np.zeros(3)\ndef imp():\n    import pandas.api\ndef use(): return np.ones(2)\ndef e(): eval('k')"
    )
    assert expand(["x"], names).modules == {"numpy"}
    assert expand(["imp"], names).modules == {"pandas"}
    assert expand(["use"], names).names == {"use", "np"}
    assert expand(["e"], names).dynamic


def test_large_containers_are_bounded() -> None:
    """A long list of numbers is not walked one by one."""
    names = namespace("big = list(range(1_000_000))")
    assert expand(["big"], names, limit_objects=10).names == {"big"}
