"""What every database must do for the control plane: each test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.images import ImageRecipe, Step
from kernel_bridge.protocol.sessions import ContainerState, SessionState, VolumeMount
from remote_runtime.store import Store
from remote_runtime.store.rows import CellStatus, EndedCell, ImageState, LedgerEntry, Placed, StartedCell
from remote_runtime.store.tokens import LENGTH, container_scope
from tests.stores import RATES, WANTED, StillClock, spec


def test_a_session_is_opened_once_for_its_key(store: Store) -> None:
    """A second request with an equal key finds the session and takes over what is not part of the key."""
    first = store.sessions.open(spec(), "me")
    again = store.sessions.open(spec(idle_after_s=7.0), "me")
    assert (first.new, again.new, again.id) == (True, False, first.id)
    assert again.spec.idle_after_s == 7.0
    assert store.sessions.find_by_key("me", spec().key) == replace(again, new=False)


def test_owners_do_not_share_sessions(store: Store) -> None:
    """The key counts within one owner only."""
    mine, yours = store.sessions.open(spec(), "me"), store.sessions.open(spec(), "you")
    assert mine.id != yours.id
    assert [row.id for row in store.sessions.list("you")] == [yours.id]


def test_many_opening_at_once_get_one_session(store: Store) -> None:
    """Two cells that start at the same moment share the session."""
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(store.sessions.open(spec(), "me").id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8 and len(set(ids)) == 1


def test_a_closed_session_stays_closed_and_frees_its_key(store: Store, clock: StillClock) -> None:
    """After closing, the same spec opens another session."""
    first = store.sessions.open(spec(), "me")
    closed = store.sessions.set_state(first.id, SessionState.CLOSED)
    assert (closed.state, closed.closed_at_s) == (SessionState.CLOSED, clock.time_s)
    assert store.sessions.set_state(first.id, SessionState.OPEN).state is SessionState.CLOSED
    assert store.sessions.open(spec(), "me").id != first.id


def test_a_session_brings_everything_back(store: Store) -> None:
    """Specification, placement, layers, kept names and pins survive the database."""
    asked = spec(volumes=(VolumeMount("models", "/models", True),), secrets=("hf",))
    session = store.sessions.open(asked, "me")
    placed = Placed(
        card="A100", card_count=1, simulated=True, provider="process", place="here", isolation="not isolated",
        mend="do this", boot_id="b", arena="/a", rate_microusd_per_h=7,
    )  # fmt: skip
    store.sessions.place(session.id, placed)
    store.sessions.append_layer(session.id, "/l1")
    store.sessions.append_layer(session.id, "/l2")
    store.sessions.append_layer(session.id, "/l1")
    store.sessions.set_kept(session.id, names=("x", "y"), size_bytes=9, epoch="ep_1", until_s=5.0)
    store.sessions.pin(session.id, 12.0)
    row = store.sessions.touch(session.id, 3.0)
    assert row.spec == asked
    assert (row.layers, row.kept_names, row.kept_bytes, row.epoch) == (("/l1", "/l2"), ("x", "y"), 9, "ep_1")
    assert (row.card, row.simulated, row.mend, row.rate_microusd_per_h) == ("A100", True, "do this", 7)
    assert (row.pinned_until_s, row.idle_since_s, row.kept_until_s) == (12.0, 3.0, 5.0)


def test_hibernated_sessions_expire(store: Store) -> None:
    """Only a hibernated session whose time has come is expired."""
    session = store.sessions.open(spec(), "me")
    store.sessions.set_kept(session.id, names=(), size_bytes=0, epoch="e", until_s=50.0)
    assert store.sessions.expired(100.0) == ()
    store.sessions.set_state(session.id, SessionState.HIBERNATED)
    assert store.sessions.expired(49.0) == ()
    assert [row.id for row in store.sessions.expired(50.0)] == [session.id]


def test_a_stale_fence_changes_nothing(store: Store, clock: StillClock) -> None:
    """Whoever lost the container to a later claim can no longer move it."""
    made = store.containers.create(store.sessions.open(spec(), "me").id, WANTED)
    assert store.containers.claim(made.id) is None
    clock.time_s += 31.0
    taken = store.containers.claim(made.id)
    assert taken is not None and taken.fence == made.fence + 1
    assert not store.containers.move(made.id, ContainerState.STARTING, made.fence)
    assert not store.containers.set_handle(made.id, {"pid": 1}, made.fence, clock.now())
    assert store.containers.move(made.id, ContainerState.STARTING, taken.fence)
    assert store.containers.set_handle(made.id, {"pid": 2}, taken.fence, clock.now())
    assert store.containers.get(made.id).handle == {"pid": 2}


def test_a_released_container_can_be_claimed_at_once(store: Store) -> None:
    """Letting go does not wait for the lease."""
    made = store.containers.create(store.sessions.open(spec(), "me").id, WANTED)
    assert store.containers.release(made.id, made.fence)
    assert store.containers.claim(made.id) is not None


def test_a_container_ends_once(store: Store, clock: StillClock) -> None:
    """The first end stands, is never before the start, and nothing moves afterwards."""
    made = store.containers.create(store.sessions.open(spec(), "me").id, WANTED)
    store.containers.set_handle(made.id, {}, made.fence, 1_010.0)
    assert [row.id for row in store.containers.live()] == [made.id]
    assert store.containers.ended(made.id, 5.0, "killed", ContainerState.FAILED)
    assert not store.containers.ended(made.id, 2_000.0, "again")
    assert not store.containers.heartbeat(made.id, clock.now())
    assert not store.containers.move(made.id, ContainerState.IDLE, made.fence)
    row = store.containers.get(made.id)
    assert (row.ended_at_s, row.cause, row.state) == (1_010.0, "killed", ContainerState.FAILED)
    assert store.containers.live() == ()
    assert [row.id for row in store.containers.unbilled()] == [made.id]
    assert row.rates == RATES


def started(store: Store, owner: str = "me") -> tuple[str, str]:
    session = store.sessions.open(spec(), owner)
    return session.id, store.containers.create(session.id, WANTED).id


def new_cell(ids: tuple[str, str], cell: str, at_s: float) -> StartedCell:
    return StartedCell(
        id=cell, session_id=ids[0], container_id=ids[1], code_digest="d", submitted_at_s=at_s, started_at_s=at_s
    )


def begin(store: Store, ids: tuple[str, str], cell: str, at_s: float) -> bool:
    return store.cells.started(new_cell(ids, cell, at_s))


def end(
    store: Store, ids: tuple[str, str], cell: str, at_s: float, status: CellStatus = CellStatus.OK, last_seq: int = 0
) -> bool:
    return store.cells.ended(EndedCell(id=cell, container_id=ids[1], ended_at_s=at_s, status=status, last_seq=last_seq))


def test_notebooks_that_name_cells_alike_keep_their_own_rows(store: Store) -> None:
    """A cell's name is its notebook's to choose: whoever says another's ends, loses or hides nothing of theirs."""
    mine, other = started(store), started(store, "you")
    assert begin(store, mine, "c1", 10.0)
    assert begin(store, other, "c1", 11.0)
    assert end(store, other, "c1", 12.0)
    assert [cell.id for cell in store.cells.running(mine[0])] == ["c1"]
    ends = [EndedCell(id=name, container_id=other[1], ended_at_s=14.0, status=CellStatus.OK) for name in ("c1", "c2")]
    store.cells.record([new_cell(mine, "c2", 13.0), new_cell(other, "c2", 13.0)], ends)
    assert [cell.id for cell in store.cells.running(mine[0])] == ["c1", "c2"]
    assert store.cells.running(other[0]) == ()


def test_cells_are_written_once_whatever_comes_twice(store: Store) -> None:
    """Rows are written behind the sending, so a repeat must change nothing."""
    ids = started(store)
    assert begin(store, ids, "c1", 10.0)
    assert not begin(store, ids, "c1", 11.0)
    assert end(store, ids, "c1", 12.0, last_seq=4)
    assert not end(store, ids, "c1", 13.0, CellStatus.ERROR)
    assert not end(store, ids, "unknown", 13.0)
    [cell] = store.cells.list(ids[0])
    assert (cell.started_at_s, cell.ended_at_s, cell.status, cell.last_seq) == (10.0, 12.0, CellStatus.OK, 4)


def test_busy_seconds_count_overlaps_once(store: Store) -> None:
    """A running cell counts up to now; two at a time are one busy container."""
    ids = started(store)
    begin(store, ids, "c1", 10.0)
    end(store, ids, "c1", 14.0)
    begin(store, ids, "c2", 12.0)
    assert store.cells.busy_seconds(ids[1], 20.0) == 10.0
    assert [cell.id for cell in store.cells.running(ids[0])] == ["c2"]
    assert [cell.id for cell in store.cells.lost(ids[1], 21.0)] == ["c2"]
    assert store.cells.running(ids[0]) == ()
    assert [cell.status for cell in store.cells.list(ids[0])] == [CellStatus.OK, CellStatus.LOST]


def test_a_token_is_known_until_it_is_revoked_or_expires(store: Store, clock: StillClock) -> None:
    """Only its holder has the token: the database cannot give it back."""
    row, token = store.tokens.create("laptop", expires_at_s=clock.now() + 10)
    assert token.startswith("cb_") and len(token) == LENGTH
    principal = store.tokens.authenticate(token)
    assert principal is not None and principal.is_owner and principal.token_id == row.id
    clock.time_s += 10
    assert store.tokens.authenticate(token) is None
    other, token = store.tokens.create("desk")
    store.tokens.revoke(other.id)
    store.tokens.revoke(other.id)
    assert store.tokens.authenticate(token) is None
    assert store.tokens.authenticate("") is None
    with pytest.raises(NotFound):
        store.tokens.revoke("tok_none")


def test_a_containers_token_is_its_own(store: Store) -> None:
    """It names its container, is not listed, and dies with it."""
    _, token = store.tokens.create("agent", container_scope("ctr_1"))
    principal = store.tokens.authenticate(token)
    assert principal is not None and principal.container_id == "ctr_1" and not principal.is_owner
    assert store.tokens.list() == ()
    assert store.tokens.revoke_scope(container_scope("ctr_1")) == 1
    assert store.tokens.authenticate(token) is None


def test_a_registered_token_is_one_row(store: Store) -> None:
    """A token from a file may be registered at every start."""
    token = "cb_" + "x" * 43
    assert store.tokens.register(token, "embedded").id == store.tokens.register(token, "embedded").id
    assert len(store.tokens.list()) == 1


def test_volume_names_are_taken_once(store: Store) -> None:
    """A second volume of the name is a conflict; a removed one is gone."""
    store.volumes.create("models")
    with pytest.raises(Conflict):
        store.volumes.create("models")
    store.volumes.set_size("models", 5)
    assert [(row.name, row.size_bytes) for row in store.volumes.list()] == [("models", 5)]
    store.volumes.create("taken")
    with pytest.raises(Conflict):
        store.volumes.rename("models", "taken")
    with pytest.raises(NotFound):
        store.volumes.rename("gone", "new")
    store.volumes.rename("models", "weights")
    assert [(row.name, row.size_bytes) for row in store.volumes.list()] == [("taken", 0), ("weights", 5)]
    store.volumes.rename("weights", "models")
    store.volumes.delete("models")
    with pytest.raises(NotFound):
        store.volumes.get("models")


def test_a_secret_is_replaced_by_a_later_one(store: Store, clock: StillClock) -> None:
    """Writing twice keeps one row and its birthday."""
    store.secrets.put("hf", ("A",), "sealed 1")
    clock.time_s += 1
    row = store.secrets.put("hf", ("B",), "sealed 2")
    assert (row.keys, row.sealed, row.created_at_s, row.updated_at_s) == (("B",), "sealed 2", 1_000.0, 1_001.0)
    store.secrets.delete("hf")
    with pytest.raises(NotFound):
        store.secrets.delete("hf")


def test_an_image_goes_from_declared_to_ready(store: Store) -> None:
    """Its recipe comes back, and declaring it again changes nothing."""
    recipe = ImageRecipe("debian_slim", "3.11", (Step("pip_install", ("numpy",)),))
    assert store.images.declare(recipe).state is ImageState.DECLARED
    store.images.building(recipe.digest, "/log")
    store.images.failed(recipe.digest, "no such package")
    store.images.ready(recipe.digest, "/built", 1.5)
    row = store.images.declare(recipe)
    assert (row.state, row.recipe, row.path, row.log_path, row.error) == (
        ImageState.READY, recipe, "/built", "/log", "",
    )  # fmt: skip
    store.images.delete(recipe.digest)
    assert store.images.list() == ()


def entry(container_id: str, use: str = "active", cost: int = 10, ended_at_s: float = 100.0) -> LedgerEntry:
    return LedgerEntry(
        container_id=container_id, session_id="ses_1", owner="me", resource="cpu", use=use, quantity=1.0,
        rate_microusd_per_h=36, started_at_s=0.0, ended_at_s=ended_at_s, duration_ms=1_000, cost_microusd=cost,
        place="here", simulated=False, price_table="t",
    )  # fmt: skip


def test_closing_the_ledger_twice_bills_once(store: Store) -> None:
    """The second closing writes nothing, even if it would say something else."""
    _, container = started(store)
    assert store.ledger.close(container, [entry(container), entry(container, "idle", 5)]) == 2
    assert store.ledger.close(container, [entry(container, cost=99), entry(container, "other", 5)]) == 0
    assert store.ledger.spent_microusd() == 15
    assert store.containers.get(container).billed


def test_the_ledger_sums_by_session_and_day(store: Store) -> None:
    """A line belongs to the day its container ended."""
    _, container = started(store)
    lines = [entry(container), entry("ctr_b", cost=7, ended_at_s=86_400.0)]
    store.ledger.close(container, lines)
    assert store.ledger.by_day() == {0: 10, 1: 7}
    assert store.ledger.spent_microusd("ses_1", since_s=101.0) == 7
    assert store.ledger.spent_microusd("ses_2") == 0
    assert store.ledger.entries("ses_1") == tuple(lines)


async def run_twice(store: Store) -> tuple[str, str]:
    first = await store.run(store.sessions.open, spec("a"), "me")
    return first.id, (await store.run(store.sessions.get, first.id)).id


def test_the_store_can_be_called_from_async_code(store: Store) -> None:
    """`run` hands calls to one thread, in order."""
    first, second = asyncio.run(run_twice(store))
    assert first == second


def test_closed_sessions_are_forgotten_when_all_is_billed(store: Store, clock: StillClock) -> None:
    """Their containers and cells go with them; what is not billed, young or open stays."""
    ids = started(store)
    begin(store, ids, "c1", 10.0)
    store.sessions.set_state(ids[0], SessionState.CLOSED)
    kept = store.sessions.open(spec("open"), "me")
    assert store.forgetting.sessions(clock.now() + 1) == 0  # not billed
    store.containers.ended(ids[1], 20.0, "closed")
    store.ledger.close(ids[1], [entry(ids[1])])
    assert store.forgetting.sessions(clock.now()) == 0  # closed just now
    assert store.forgetting.sessions(clock.now() + 1) == 1
    assert (store.containers.of_session(ids[0]), store.cells.list(ids[0])) == ((), ())
    assert store.sessions.get(kept.id).id == kept.id
    assert store.ledger.spent_microusd() == 10


def test_an_open_session_without_a_container_is_abandoned_in_time(store: Store, clock: StillClock) -> None:
    """Counted from the end of the last container it had; one that lives keeps it for ever."""
    never, living, had = (store.sessions.open(spec(kernel), "me").id for kernel in ("never", "living", "had"))
    store.containers.create(living, WANTED)
    ended = store.containers.create(had, WANTED)
    store.containers.ended(ended.id, 2_000.0, "idle")
    assert store.forgetting.abandoned(1_000.0) == ()
    assert [row.id for row in store.forgetting.abandoned(1_500.0)] == [never]
    assert {row.id for row in store.forgetting.abandoned(2_500.0)} == {never, had}


def test_worthless_tokens_are_forgotten(store: Store, clock: StillClock) -> None:
    """Those revoked or expired for long; the others still let in."""
    good = store.tokens.create("good")[1]
    store.tokens.create("brief", expires_at_s=clock.now() + 10)
    store.tokens.revoke(store.tokens.create("revoked")[0].id)
    clock.time_s += 1_000
    assert store.forgetting.tokens(clock.now() - 500) == 2
    assert store.tokens.authenticate(good) is not None


def test_a_blob_used_after_the_decision_stays(store: Store, clock: StillClock) -> None:
    """Evicting names the use it was decided on; asking again tells whether it is still there."""
    digest = store.blobs.put(b"wanted")
    decided_on_s = store.blobs.get(digest).used_at_s
    clock.time_s += 10_000
    assert store.blobs.missing([digest]) == ()
    assert not store.blobs.delete(digest, decided_on_s)
    assert store.blobs.delete(digest, clock.now())
    assert store.blobs.missing([digest]) == (digest,)
