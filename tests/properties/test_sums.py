"""Whatever fails in whatever order, the sums are right: a random walk through sessions, containers and the ledger."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kernel_bridge.protocol.money import cost_microusd
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.billing.meter import busy_ms, lifetime_ms
from remote_runtime.billing.prices import line_rate
from remote_runtime.scheduler import ending, starting, tasks
from remote_runtime.scheduler.lifecycle import MOVES
from remote_runtime.store import store
from remote_runtime.store.rows import ContainerRow, LedgerEntry
from tests.properties.host import CARDS, Host

KERNELS = ("ann", "ben", "cem", "dia")

kernels = st.sampled_from(KERNELS)
cards = st.sampled_from(["A100", "H100", "any", "cpu"])


class Sums(RuleBasedStateMachine):
    """Four notebooks share three cards; anything may fail at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="cb", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)  # noqa: PTH112
        self.host = Host(Path(self.folder.name))
        self.states: dict[str, ContainerState] = {}
        self.ends: dict[str, float] = {}
        self.ledger: tuple[LedgerEntry, ...] = ()

    def teardown(self) -> None:
        """At the end everything works again, nothing runs any more, and the whole bill is there."""
        self.host.heal()
        self.host.end_all()
        self._check_sums(settled=True)
        assert self.host.store.containers.live() == ()
        assert self.host.provider.alive() == set()
        self.host.close()
        self.folder.cleanup()

    @initialize(others=st.integers(0, 3))
    def notebooks_work(self, others: int) -> None:
        """Some notebooks have a cell running, the first has had one."""
        for kernel in KERNELS[: others + 1]:
            self.host.wake(kernel, "any" if others else "A100")
            self.host.begin_cell(kernel)
        self.host.end_cell(KERNELS[0], twice=False)

    @rule(kernel=kernels, gpu=cards)
    def cell(self, kernel: str, gpu: str) -> None:
        """A notebook runs a cell: it asks for a container, whose agent dials in, and hands the cell over."""
        self.host.wake(kernel, gpu)
        self.host.begin_cell(kernel)

    @rule(kernel=kernels, gpu=cards, seconds=st.sampled_from([0.001, 0.25, 1.0, 7.5]))
    def short_cell(self, kernel: str, gpu: str, seconds: float) -> None:
        """The same, and it ends soon."""
        self.host.wake(kernel, gpu)
        self.host.begin_cell(kernel)
        self.host.pass_time(seconds)
        self.host.end_cell(kernel, twice=False)

    @rule(kernel=kernels, twice=st.booleans())
    def end_cell(self, kernel: str, twice: bool) -> None:
        """The reply goes by, sometimes a second time."""
        self.host.end_cell(kernel, twice=twice)

    @rule(seconds=st.sampled_from([0.001, 1.0, 7.5, 61.0, 130.0, 301.0, 301.0, 601.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes, agents give signs of life, the reconciler looks."""
        self.host.pass_time(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 86_400.0]))
    def clock_jumps(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.host.pass_time(seconds)

    @rule(kernel=kernels)
    def stop(self, kernel: str) -> None:
        """A person stops the session: hibernation at once."""
        self.host.stop(kernel)

    @rule(kernel=kernels)
    def reset(self, kernel: str) -> None:
        """A person discards the session."""
        self.host.reset(kernel)

    @rule(kernel=kernels, on=st.booleans())
    def pin(self, kernel: str, on: bool) -> None:
        """A person keeps it warm, or lets it idle again."""
        self.host.pin(kernel, on=on)

    @rule(kernel=kernels, goodbye=st.booleans())
    def notebook_leaves(self, kernel: str, goodbye: bool) -> None:
        """The notebook's connection ends, for good or not."""
        self.host.leave(kernel, goodbye=goodbye)

    @rule(kernel=kernels, answers=st.sampled_from(["saves", "cannot", "is silent"]))
    def agent_mood(self, kernel: str, answers: str) -> None:
        """Decide how the agent will answer when it is asked to save next."""
        self.host.moods[kernel] = answers

    @rule(kernel=kernels)
    def agent_hangs_up(self, kernel: str) -> None:
        """The agent's connection breaks; the container runs on."""
        self.host.drop_agent(kernel)

    @rule(kernel=kernels)
    def agent_returns(self, kernel: str) -> None:
        """The agent dials again, perhaps twice."""
        self.host.dial_agent(kernel)

    @rule(kernel=kernels, noticed=st.booleans(), exit_file=st.booleans())
    def container_dies(self, kernel: str, noticed: bool, exit_file: bool) -> None:
        """Everything in the container is gone at once; when it ended may be known or not."""
        self.host.kill_container(kernel, noticed=noticed, exit_file=exit_file)

    @rule(clean=st.booleans())
    def control_plane_restarts(self, clean: bool) -> None:
        """The control plane ends, told or killed, and another starts on the same store."""
        self.host.restart(clean=clean)

    @rule(times=st.integers(1, 6))
    def database_fails(self, times: int) -> None:
        """The next so many writes fail: locked, or the disk is full."""
        self.host.faults.writes_to_fail = times

    @rule(calls=st.integers(1, 4))
    def provider_unreachable(self, calls: int) -> None:
        """The next so many calls of the provider fail."""
        self.host.provider.calls_to_fail = calls

    @rule()
    def heals(self) -> None:
        """Everything answers again."""
        self.host.heal()

    @invariant()
    def sums_are_right(self) -> None:
        """After every step."""
        self._check_sums(settled=False)

    def _check_sums(self, *, settled: bool) -> None:
        rows, entries = self._rows(), self.host.store.ledger.entries()
        assert set(self.ledger) <= set(entries), "a line of the ledger changed"
        self.ledger = entries
        for row in rows:
            self._check_state(row)
            self._check_bill(row, [entry for entry in entries if entry.container_id == row.id], settled=settled)
        self._check_cards(rows)

    def _rows(self) -> list[ContainerRow]:
        sessions = self.host.sessions_ever
        return [row for session in sessions for row in self.host.store.containers.of_session(session)]

    def _check_state(self, row: ContainerRow) -> None:
        before = self.states.get(row.id, ContainerState.PENDING)
        assert row.state in _reachable(before), f"{before} became {row.state}"
        self.states[row.id] = row.state
        if row.ended_at_s is not None:
            assert self.ends.setdefault(row.id, row.ended_at_s) == row.ended_at_s, "an end changed"
            assert row.ended_at_s >= (row.started_at_s or row.created_at_s)
            assert row.state in (ContainerState.STOPPED, ContainerState.FAILED)

    def _check_bill(self, row: ContainerRow, entries: list[LedgerEntry], *, settled: bool) -> None:
        assert len({(entry.resource, entry.use) for entry in entries}) == len(entries), "billed twice"
        assert row.billed or not entries
        if row.ended_at_s is None:
            assert not entries, "the bill of what still runs is written"
            return
        assert row.billed or self.host.unwell or not settled, "an end without a bill"
        if not row.billed or row.started_at_s is None:
            return
        life_ms = lifetime_ms(row.started_at_s, row.ended_at_s)
        sums: Counter[str] = Counter()
        for entry in entries:
            sums[entry.resource] += entry.duration_ms
            rate = line_rate(entry.rate_microusd_per_h, entry.quantity)
            assert entry.cost_microusd == cost_microusd(rate, entry.duration_ms / 1000) >= 0
        assert set(sums.values()) <= {life_ms}, "active and idle are not the container's life"
        assert bool(sums) == bool(life_ms)
        self._check_truth(row, entries)

    def _check_truth(self, row: ContainerRow, entries: list[LedgerEntry]) -> None:
        """Compare with what the host and the agents know, where a fault has not kept it from the control plane."""
        told = self.host.provider.said_end(row.id)
        if told is not None and row.id not in self.host.blurred:
            assert row.ended_at_s == max(told, row.started_at_s or 0.0), "not the container's real end"
        if row.id in self.host.blurred:
            return
        assert row.started_at_s is not None
        assert row.ended_at_s is not None
        active = {entry.duration_ms for entry in entries if entry.use == "active"} or {0}
        assert active == {busy_ms(self.host.intervals(row.id), row.started_at_s, row.ended_at_s)}, "not the busy time"

    def _check_cards(self, rows: list[ContainerRow]) -> None:
        live = [row for row in rows if row.ended_at_s is None]
        assert max(Counter(row.session_id for row in live).values(), default=0) <= 1, "two containers of one session"
        held = Counter(row.card for row in live if row.card_count)
        assert all(count <= CARDS[card] for card, count in held.items()), "a card is given twice"
        used = Counter(spec.config.card for spec in self.host.provider.running() if spec.config.card_count)
        assert all(count <= CARDS[card] for card, count in used.items()), "a card is used twice"
        owned = {live.id for live in self.host.plane.parts.roster}
        assert self.host.provider.alive() <= owned, "a container nobody owns"


def _reachable(state: ContainerState) -> set[ContainerState]:
    found, pending = {state}, [state]
    while pending:
        new = MOVES[pending.pop()] - found
        found |= new
        pending += new
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Real waits of the scheduler are for real agents; these answer at once or never."""
    monkeypatch.setattr(ending, "RETURN_WITHIN_S", 0.01)
    monkeypatch.setattr(ending, "SAVE_WITHIN_S", 0.03)
    monkeypatch.setattr(starting, "_LOOK_AGAIN_S", 0.002)
    monkeypatch.setattr(tasks, "_AGAIN_AFTER_S", 0.001)
    monkeypatch.setattr(store, "_PAUSES_S", ())
    yield


def _walk(examples: int, steps: int) -> None:
    phases = [Phase.explicit, Phase.generate]  # shrinking a walk takes minutes; its steps are printed as they are
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    chosen: dict[str, Any] = {
        "deadline": None,
        "database": None,
        "derandomize": True,
        "phases": phases,
        "print_blob": False,
        "suppress_health_check": quiet,
    }
    run_state_machine_as_test(Sums, settings=settings(max_examples=examples, stateful_step_count=steps, **chosen))


@pytest.mark.timeout(240)
def test_the_sums_are_right_after_any_faults() -> None:
    """Bills add up to lives to the millisecond, cards are given once, every step is legal."""
    _walk(examples=12, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_sums_are_right_after_many_more_faults() -> None:
    """The same, for longer walks and more of them."""
    _walk(examples=60, steps=60)
