"""Metrics: what is counted, under which names, in a text that Prometheus' own parser reads."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kernel_bridge.protocol.events import CardCount, CellChanged, ContainerChanged
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.observability.metrics import Census, Metrics

UNITS = ("_seconds", "_bytes", "_dollars")


def read(metrics: Metrics, census: Census | None = None) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by its name and labels."""
    text = metrics.text(census or Census()).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def cell(status: str, seconds: float) -> CellChanged:
    return CellChanged(
        cell_id="c", session_id="s", container_id="k", status=status, at_s=100 + seconds, started_at_s=100.0
    )


def container(state: ContainerState, at_s: float) -> ContainerChanged:
    return ContainerChanged(container_id="k", session_id="s", state=state, at_s=at_s)


def test_cells_are_counted_by_how_they_ended() -> None:
    """One that begins is not; every way to end is there from the start, at zero."""
    metrics = Metrics()
    assert read(metrics)["cellburst_cells_total", (("status", "lost"),)] == 0
    for event in (cell("running", 0), cell("ok", 0.5), cell("running", 0), cell("error", 2)):
        metrics.hear(event)
    found = read(metrics)
    assert found["cellburst_cells_total", (("status", "ok"),)] == 1
    assert found["cellburst_cells_total", (("status", "error"),)] == 1
    assert found["cellburst_cell_duration_seconds_sum", ()] == pytest.approx(2.5)
    assert found["cellburst_cell_duration_seconds_bucket", (("le", "1.0"),)] == 1


def test_a_container_coming_up_is_timed_by_its_states() -> None:
    """Building is one time, starting another; told twice it counts once; one that fails counts for neither."""
    metrics, state = Metrics(), ContainerState
    moves = ((state.PENDING, 0), (state.BUILDING, 1), (state.STARTING, 4), (state.STARTING, 5), (state.IDLE, 4.25))
    for where, at_s in (*moves, (state.BUSY, 9)):
        metrics.hear(container(where, at_s))
    for where, at_s in ((state.BUILDING, 20), (state.FAILED, 50)):
        metrics.hear(container(where, at_s))
    found = read(metrics)
    assert found["cellburst_build_duration_seconds_sum", ()] == 3
    assert found["cellburst_start_duration_seconds_sum", ()] == 0.25
    assert found["cellburst_start_duration_seconds_count", ()] == 1


def test_a_clock_set_back_makes_no_negative_time() -> None:
    """It counts as no time at all."""
    metrics = Metrics()
    metrics.hear(cell("ok", -5))
    metrics.queued(-1)
    found = read(metrics)
    assert found["cellburst_cell_duration_seconds_sum", ()] == found["cellburst_queue_duration_seconds_sum", ()] == 0


def test_the_census_becomes_gauges_and_totals() -> None:
    """Money is dollars, states without anybody are zero, labels name what is counted."""
    census = Census(
        sessions={"open": 2},
        containers={("idle", "process"): 1},
        cards=(CardCount(card="A100", total=2, free=1, simulated=True),),
        notebooks=2,
        agents=1,
        listeners=3,
        relayed={"notebook": (10, 2048), "container": (4, 512)},
        outbox_messages=5,
        outbox_bytes=999,
        cost_microusd={("gpu A100", True): 2_500_000},
        version="1.2",
    )
    found = read(Metrics(), census)
    assert found["cellburst_sessions", (("state", "open"),)] == 2
    assert found["cellburst_sessions", (("state", "hibernated"),)] == 0
    assert found["cellburst_containers", (("provider", "process"), ("state", "idle"))] == 1
    assert found["cellburst_cards_free", (("card", "A100"), ("simulated", "true"))] == 1
    assert found["cellburst_websocket_connections", (("end", "notebook"),)] == 2
    assert found["cellburst_relay_bytes_total", (("to", "notebook"),)] == 2048
    assert found["cellburst_outbox_bytes", ()] == 999
    assert found["cellburst_cost_dollars_total", (("resource", "gpu A100"), ("simulated", "true"))] == 2.5
    assert found["cellburst_info", (("version", "1.2"),)] == 1
    assert found["process_open_fds", ()] > 0


def test_names_follow_the_convention() -> None:
    """Ours begin with our name, say their unit, and only what only grows ends in total."""
    families: dict[str, Any] = {
        family.name: family
        for family in text_string_to_metric_families(Metrics().text(Census(version="1")).decode())
        if not family.name.startswith("process_")
    }
    assert all(name.startswith("cellburst_") for name in families)
    assert all(family.documentation.endswith(".") for family in families.values())
    assert all(name.endswith(UNITS) for name, family in families.items() if family.type == "histogram")
    assert not any(name.endswith("_total") for name, family in families.items() if family.type == "gauge")


def test_two_control_planes_share_nothing() -> None:
    """Each has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.hear(cell("ok", 1))
    assert read(other)["cellburst_cells_total", (("status", "ok"),)] == 0
