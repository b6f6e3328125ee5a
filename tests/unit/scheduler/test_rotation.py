"""A secret that is written anew reaches the next container, and not the one that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

from kernel_bridge.protocol.notes import Hibernate, PeerDown, Saved, Wake
from kernel_bridge.protocol.scopes import OWNER

Play = Callable[..., None]


def test_a_rotated_secret_reaches_the_container_that_wakes(play: Play) -> None:
    """Its environment is made when it starts: nothing of a secret is kept with the session that hibernates."""

    async def story(world: Any) -> None:
        _, token = world.store.tokens.create("test", OWNER)
        transport = httpx2.ASGITransport(app=world.plane.app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://plane", headers=headers) as http:
            await http.put("/v1/secrets/hf", json={"values": {"HF_TOKEN": "the-first-value"}})
            run = await world.running(secrets=("hf",))
            await http.put("/v1/secrets/hf", json={"values": {"HF_TOKEN": "the-second-value"}})
        [first] = world.provider.started
        assert first.config.env["HF_TOKEN"] == "the-first-value"
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(Saved(names=("x",), lost={}, size_bytes=1, epoch="ep_1"))
        await run.client.hear(PeerDown)
        run.client.say(Wake())
        await world.woken(run.session_id, run.client)
        second = world.provider.started[-1]
        assert second is not first
        assert second.config.env["HF_TOKEN"] == "the-second-value"
        assert first.config.secret_keys == second.config.secret_keys == ("HF_TOKEN",)

    play(story)
