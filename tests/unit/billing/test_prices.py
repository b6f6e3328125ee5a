"""The price table: ours is dated and whole, an operator's is checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.resources import CARDS
from remote_runtime.billing.prices import GIB, load_prices


def test_our_table_is_dated_and_says_so() -> None:
    """A quote shows where its numbers come from."""
    table = load_prices()
    assert re.fullmatch(r"prices\.toml of \d{4}-\d\d-\d\d", table.label)
    assert table.rates("H100").table == table.label


def test_our_table_knows_the_cards() -> None:
    """Every card people can ask for by name has a price, but for the one nobody has published."""
    assert {card for card in CARDS if not load_prices().knows(card)} == {"B300"}
    assert load_prices().rates("A100") == load_prices().rates("A100-40GB")


def test_a_session_on_the_cpu_pays_for_cores_and_memory_only() -> None:
    """No card, no card's price."""
    rates = load_prices().rates("cpu")
    assert rates.gpu_microusd_per_h == 0
    assert rates.total_microusd_per_h(0, 1.0, 4 * GIB) == 47_160 + 4 * 7_992


def test_an_operators_table_replaces_ours(tmp_path: Path) -> None:
    """Their names, their numbers."""
    path = tmp_path / "ours.toml"
    path.write_text(
        'dated = 2026-11-01\ncpu_microusd_per_h = 1\nmemory_microusd_per_h = 2\n[gpu_microusd_per_h]\n"MI300" = 3\n'
    )
    table = load_prices(path)
    assert (table.label, table.rates("MI300").gpu_microusd_per_h) == ("ours.toml of 2026-11-01", 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dated = ", "Invalid"),
        ('dated = "2026"', "cpu_microusd_per_h' is missing"),
        ('dated = "x"\ncpu_microusd_per_h = 0.5\n', "whole number"),
        ('dated = "x"\ncpu_microusd_per_h = -1\n', "whole number"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, text: str, why: str) -> None:
    """The message says which file and what in it."""
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(BadRequest, match=rf"broken\.toml cannot be read.*{why}"):
        load_prices(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    """CELLBURST_PRICES with a typing error refuses to start."""
    with pytest.raises(BadRequest, match=r"none\.toml cannot be read"):
        load_prices(tmp_path / "none.toml")
