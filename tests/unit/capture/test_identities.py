"""Numbers of objects, when objects die and their ids come again."""

from __future__ import annotations

from kernel_bridge.capture.identities import Identities


class Thing:
    """Can be referred to weakly, dies at once, and is of a size that nothing else has: the next one takes its place."""

    __slots__ = ("__weakref__", *(f"field_{number}" for number in range(56)))


def outlived(identities: Identities) -> tuple[int, int]:
    """Return where a thing was and its number, both let go of after it had died."""
    thing = Thing()
    place, token = id(thing), identities.token_of(thing)
    identities.retain([token])
    del thing
    identities.release([token])
    return place, token


def test_an_object_in_a_dead_ones_place_gets_a_number_of_its_own() -> None:
    """Its id is the same, and what that id meant was let go after the object had died."""
    identities = Identities()
    for _ in range(100):
        place, token = outlived(identities)
        reborn = Thing()
        if id(reborn) == place:
            break
    assert id(reborn) == place, "the allocator gave the place to something else every time"
    assert identities.token_of(reborn) != token


def test_nothing_is_kept_of_what_was_let_go() -> None:
    """Neither of the living nor of the dead."""
    identities = Identities()
    living = Thing()
    tokens = [identities.token_of(living), identities.token_of(Thing())]
    identities.retain(tokens)
    identities.release(tokens)
    assert identities.object_of(tokens[0]) is None
    assert not identities._tokens and not identities._ids and not identities._anchors
