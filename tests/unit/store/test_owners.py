"""What several people keep in one store: names, tokens and blobs of each, and what an older store's become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from kernel_bridge.errors import BadRequest, Conflict, NotFound
from kernel_bridge.protocol.scopes import ADMIN, RUN
from remote_runtime.store import Store, database, sqlite_url
from remote_runtime.store.database import Database
from tests.stores import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def store(tmp_path: Path, clock: StillClock) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "s.sqlite3"), clock, tmp_path)
    yield opened
    opened.close()


def test_two_people_use_one_name(store: Store) -> None:
    """Volumes and secrets of the same name are different things; nobody deletes another's."""
    for table in (store.volumes, store.secrets):
        for owner in ("ada", "ben"):
            mine = table.of(owner)
            mine.create("x") if hasattr(mine, "create") else mine.put("x", (owner,), f"sealed for {owner}")
        table.of("ada").delete("x")
        assert [row.owner for row in table.of("ben").list()] == ["ben"]
        assert table.of("ada").list() == table.list() == ()
        with pytest.raises(NotFound):
            table.of("ada").get("x")


def test_a_blob_is_kept_once_and_held_by_each_who_put_it(store: Store) -> None:
    """To the others it is missing; when it is let go, it is for all."""
    digest = store.blobs.of("ada").put(b"hello")
    assert store.blobs.of("ben").missing([digest]) == (digest,)
    with pytest.raises(NotFound):
        store.blobs.of("ben").get(digest)
    assert store.blobs.of("ben").put(b"hello") == digest
    assert store.blobs.of("ben").missing([digest]) == ()
    store.blobs.delete(digest)
    assert store.blobs.of("ada").put(b"hello") == digest
    assert store.blobs.of("ben").missing([digest]) == (digest,)


def test_a_name_is_one_good_token_s(store: Store, clock: StillClock) -> None:
    """Of one owner; revoked and expired tokens give theirs back, and one without a name is called like its id."""
    first, _ = store.tokens.create("ci", RUN, clock.now() + 10, "ada")
    store.tokens.create("ci", owner="ben")
    with pytest.raises(Conflict, match="already"):
        store.tokens.create("ci", owner="ada")
    clock.time_s += 11
    second, _ = store.tokens.create("ci", owner="ada")
    store.tokens.revoke(second.id)
    store.tokens.create("ci", owner="ada")
    unnamed, _ = store.tokens.create("", owner="ada")
    assert unnamed.name == unnamed.id != first.id


def test_a_registered_token_yields_its_name(store: Store) -> None:
    """Two runtimes on one database may both have a token of `this machine`."""
    one, other = (store.tokens.register(letter * 40, "this machine", ADMIN) for letter in "ab")
    assert (one.name, other.name) == ("this machine", f"this machine {other.id}")


@pytest.mark.parametrize(("name", "scope", "owner"), [("a\nb", RUN, "ada"), ("", "all", "ada"), ("", RUN, "a b")])
def test_a_token_that_makes_no_sense_is_refused(store: Store, name: str, scope: str, owner: str) -> None:
    """A name of two lines, a scope nobody knows, an owner who cannot be written."""
    with pytest.raises(BadRequest):
        store.tokens.create(name, scope, owner=owner)


def test_worthless_tokens_are_told_apart(store: Store, clock: StillClock) -> None:
    """Good ones are not named; revoked, expired and unknown ones are."""
    good, revoked, expired = (store.tokens.create("", RUN, at_s)[0].id for at_s in (None, None, clock.now() + 1))
    store.tokens.revoke(revoked)
    clock.time_s += 1
    assert store.tokens.why_worthless((good, revoked, expired, "tok_x")) == {
        revoked: "revoked",
        expired: "expired",
        "tok_x": "revoked",
    }


def test_last_use_is_written_without_waiting(store: Store, clock: StillClock) -> None:
    """Using a token reads only; the list knows it all the same."""
    row, token = store.tokens.create("", RUN, owner="ada")
    clock.time_s += 5
    assert store.tokens.authenticate(token) is not None
    assert [row.last_used_at_s for row in store.tokens.list("ada")] == [clock.now()]
    assert row.last_used_at_s is None


def test_an_older_store_s_things_are_its_one_owner_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens may what they could, under names of their own; volumes, secrets and blobs stay."""
    url = sqlite_url(tmp_path / "s.sqlite3")
    monkeypatch.setattr(database, "SCHEMA", 1)
    old = Database.connect(url)
    old.migrate(1.0)
    with old.writing() as connection:
        for token_id in ("tok_1", "tok_2"):
            columns = "id, name, owner, scope, hash, created_at_s"
            connection.execute(
                text(f"INSERT INTO tokens ({columns}) VALUES ('{token_id}', 'x', 'owner', 'owner', '{token_id}', 1)")
            )
        connection.execute(text("INSERT INTO volumes VALUES ('v', 1, 2)"))
        connection.execute(text("INSERT INTO secrets VALUES ('s', '[\"K\"]', 'v1:', 1, 1)"))
        connection.execute(text(f"INSERT INTO blobs VALUES ('{'0' * 64}', 1, 1, 1)"))
    old.close()
    monkeypatch.undo()
    store = Store.open(url, StillClock(), tmp_path)
    assert [(row.name, row.scope) for row in store.tokens.list("owner")] == [("x", ADMIN), ("tok_2", ADMIN)]
    assert [row.size_bytes for row in store.volumes.list()] == [2]
    assert [row.keys for row in store.secrets.list()] == [("K",)]
    assert store.blobs.missing(["0" * 64]) == ()
    store.close()
