"""The numbers Prometheus reads: what was counted as it happened, and what is counted when it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kernel_bridge.protocol.events import CardCount, CellChanged, ContainerChanged, RuntimeEvent
from kernel_bridge.protocol.sessions import ContainerState, SessionState

_CELL_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 14400)
_WAIT_S: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
_HTTP_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_READY: Final = (ContainerState.IDLE, ContainerState.BUSY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What there is at one moment, counted."""

    sessions: Mapping[str, int] = field(default_factory=dict)  # by state
    containers: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by state and provider
    cards: tuple[CardCount, ...] = ()
    notebooks: int = 0  # connected
    agents: int = 0
    listeners: int = 0  # of events
    relayed: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # messages and bytes, by whom they were for
    outbox_messages: int = 0  # in containers, not acknowledged yet
    outbox_bytes: int = 0
    cost_microusd: Mapping[tuple[str, bool], int] = field(default_factory=dict)  # by resource and simulated or not
    version: str = ""


class Metrics:
    """One control plane's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
        self._registry = registry = CollectorRegistry()
        self._states: dict[str, tuple[ContainerState, float]] = {}  # of containers that are coming up, and since when
        self._counted = _Counted()
        registry.register(self._counted)
        ProcessCollector(registry=registry)
        self._cells = Counter("cellburst_cells", "Cells that have ended.", ["status"], registry=registry)
        for status in ("ok", "error", "aborted", "lost"):
            self._cells.labels(status)
        self._cell_s = Histogram(
            "cellburst_cell_duration_seconds",
            "From handing a cell over to its reply.",
            buckets=_CELL_S,
            registry=registry,
        )
        self._queue_s = _wait("queue", "How long a session waited for a card.", registry)
        self._build_s = _wait("build", "How long a container waited for its environment.", registry)
        self._start_s = _wait("start", "From asking the provider for a container to its agent's hello.", registry)
        self._request_s = Histogram(
            "cellburst_http_request_duration_seconds",
            "Answering a request, by route.",
            ["method", "route", "status"],
            buckets=_HTTP_S,
            registry=registry,
        )

    def text(self, census: Census) -> bytes:
        """Return everything in Prometheus' text format."""
        self._counted.census = census
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a template, never a path."""
        self._request_s.labels(method, route, str(status)).observe(seconds)

    def queued(self, seconds: float) -> None:
        """Count a session that has got its card."""
        self._queue_s.observe(max(seconds, 0.0))

    def hear(self, event: RuntimeEvent) -> None:
        """Count what an event tells."""
        if isinstance(event, CellChanged) and event.status != "running":
            self._cells.labels(event.status).inc()
            self._cell_s.observe(max(event.at_s - event.started_at_s, 0.0))
        elif isinstance(event, ContainerChanged):
            self._moved(event)

    def _moved(self, event: ContainerChanged) -> None:
        before, since_s = self._states.pop(event.container_id, (None, 0.0))
        if event.state is before:
            since_s = min(since_s, event.at_s)
        elif before is ContainerState.BUILDING and event.state is ContainerState.STARTING:
            self._build_s.observe(max(event.at_s - since_s, 0.0))
        elif before is ContainerState.STARTING and event.state in _READY:
            self._start_s.observe(max(event.at_s - since_s, 0.0))
        if event.state in (ContainerState.BUILDING, ContainerState.STARTING):
            self._states[event.container_id] = (event.state, since_s if event.state is before else event.at_s)


class _Counted(Collector):
    """What is counted when somebody asks."""

    def __init__(self) -> None:
        self.census = Census()

    def describe(self) -> list[Metric]:
        """Say nothing before it is asked: else registering would count."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the census."""
        census = self.census
        info = GaugeMetricFamily("cellburst_info", "Which release this is.", labels=["version"])
        info.add_metric([census.version], 1)
        yield info
        sessions = GaugeMetricFamily("cellburst_sessions", "Sessions by state.", labels=["state"])
        for state in SessionState:
            sessions.add_metric([state], census.sessions.get(state, 0))
        yield sessions
        containers = GaugeMetricFamily("cellburst_containers", "Live containers.", labels=["state", "provider"])
        for (state_, provider), count in census.containers.items():
            containers.add_metric([state_, provider], count)
        yield containers
        yield from self._cards()
        yield from self._lines()
        cost = CounterMetricFamily(
            "cellburst_cost_dollars", "The ledger's sum: containers that have ended.", labels=["resource", "simulated"]
        )
        for (resource, simulated), microusd in census.cost_microusd.items():
            cost.add_metric([resource, _word(simulated)], microusd / 1e6)
        yield cost

    def _cards(self) -> Iterator[Metric]:
        total = GaugeMetricFamily("cellburst_cards", "Cards there are.", labels=["card", "simulated"])
        free = GaugeMetricFamily("cellburst_cards_free", "Cards no container holds.", labels=["card", "simulated"])
        for stock in self.census.cards:
            total.add_metric([stock.card, _word(stock.simulated)], stock.total)
            free.add_metric([stock.card, _word(stock.simulated)], stock.free)
        yield total
        yield free

    def _lines(self) -> Iterator[Metric]:
        census = self.census
        connected = GaugeMetricFamily("cellburst_websocket_connections", "Open websockets.", labels=["end"])
        connected.add_metric(["notebook"], census.notebooks)
        connected.add_metric(["container"], census.agents)
        yield connected
        yield GaugeMetricFamily("cellburst_event_listeners", "Readers of /v1/events.", value=census.listeners)
        messages = CounterMetricFamily("cellburst_relay_messages", "Messages handed on.", labels=["to"])
        size = CounterMetricFamily("cellburst_relay_bytes", "Their size.", labels=["to"])
        for end, (count, count_bytes) in census.relayed.items():
            messages.add_metric([end], count)
            size.add_metric([end], count_bytes)
        yield messages
        yield size
        yield GaugeMetricFamily(
            "cellburst_outbox_messages", "Messages containers keep until acknowledged.", value=census.outbox_messages
        )
        yield GaugeMetricFamily("cellburst_outbox_bytes", "Their size.", value=census.outbox_bytes)


def _wait(what: str, meaning: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"cellburst_{what}_duration_seconds", meaning, buckets=_WAIT_S, registry=registry)


def _word(flag: bool) -> str:
    return "true" if flag else "false"
