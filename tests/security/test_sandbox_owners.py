"""Two people on one runtime: what one has, the other's cells do not get, by whatever way their agent would fetch it."""

from __future__ import annotations

from typing import Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)

# In the notebook: somebody else, who has a token of his own, stores a blob.
STORES: Final = """
from dataclasses import replace
from kernel_bridge.client.blobs import HttpBlobs
from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
address = ensure_runtime(ClientConfig.load())
with ControlPlane(address) as plane:
    _, token = plane.create_token("theirs", owner="ann")
with ControlPlane(replace(address, token=token)) as plane:
    result = HttpBlobs(plane).put(b"ann's own " * 1000)
"""
# In the cell: its own way to blobs, found in its own process.
FETCHES: Final = """
import gc
from remote_runtime.agent.blobs import AgentBlobs
def fetch(digest):
    blobs = next(one for one in gc.get_objects() if isinstance(one, AgentBlobs))
    try:
        return bytes(blobs.get(digest, 10_000)).decode()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def store(data):
    blobs = next(one for one in gc.get_objects() if isinstance(one, AgentBlobs))
    return blobs.put(data)
mine = store(b"my own.. " * 1111 + b".")
result = {"mine": fetch(mine), "theirs": fetch(DIGEST)}
"""
# A link in the arena, named like what the agent is to read and send: it is outside the walls.
LURES: Final = """
import gc, os, secrets
from remote_runtime.agent.blobs import AgentBlobs
blobs = next(one for one in gc.get_objects() if isinstance(one, AgentBlobs))
def lure(make):
    name = secrets.token_hex(16)
    make(os.path.join(blobs._arena.path, name))
    try:
        return blobs._ask("blob_put_request", {"digest": DIGEST, "file": name})
    except Exception as error:
        return str(error)
result = [lure(lambda path: os.symlink(AIM, path)), lure(os.mkfifo), lure(lambda path: os.symlink("/etc/passwd", path))]
"""


def test_a_cells_agent_fetches_no_blob_of_another_owner(intruder: Intruder) -> None:
    """Though the digest is known: the container's token is its owner's, and the blob is not."""
    digest = intruder.local(STORES)
    fetched = intruder.cell(f"DIGEST = {digest!r}\n{FETCHES}", session="thief")
    assert fetched["mine"].startswith("my own")
    assert "NotFound" in fetched["theirs"]
    assert intruder.works("thief")


def test_a_cells_agent_follows_no_link_in_the_arena(intruder: Intruder) -> None:
    """It refuses a link to another session's file, and does not wait for a pipe."""
    intruder.cell("open('private', 'w').write('the victim')\nresult = 1", session="victim")
    aim = next(path for path in (intruder.folder / "data" / "sessions").glob("*/work/private"))
    said = intruder.cell(f"AIM, DIGEST = {str(aim)!r}, {'0' * 64!r}\n{LURES}", session="lurer")
    assert [any(word in one for word in ("symbolic", "Errno 40", "OSError", "answered")) for one in said] == [True] * 3
    assert "Errno 40" in said[0]
    assert intruder.works("lurer")
