"""Numbers of objects, when objects die and their ids come again."""

from __future__ import annotations

from kernel_bridge.capture.identities import Identities


class Thing:
    """Can be referred to weakly, and dies at once."""


def reborn(dead: int) -> Thing:
    """Return an object that lives where another one died."""
    kept = []
    for _ in range(10_000):
        thing = Thing()
        if id(thing) == dead:
            return thing
        kept.append(thing)
    raise AssertionError("the place was not taken again")


def test_an_object_in_a_dead_ones_place_gets_a_number_of_its_own() -> None:
    """Its id is the same, and what that id meant was let go after the object had died."""
    identities = Identities()
    thing = Thing()
    place, token = id(thing), identities.token_of(thing)
    identities.retain([token])
    del thing
    identities.release([token])
    assert identities.token_of(reborn(place)) != token


def test_nothing_is_kept_of_what_was_let_go() -> None:
    """Neither of the living nor of the dead."""
    identities = Identities()
    living = Thing()
    tokens = [identities.token_of(living), identities.token_of(Thing())]
    identities.retain(tokens)
    identities.release(tokens)
    assert identities.object_of(tokens[0]) is None
    assert not identities._tokens and not identities._ids and not identities._anchors
