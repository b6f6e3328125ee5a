"""A container as the engine is asked for it, and what it is shown: pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.protocol.containers import ContainerConfig, Mount
from remote_runtime.providers.base import Phase
from remote_runtime.providers.docker.ends import ended, finished_at_s
from remote_runtime.providers.docker.mounts import Shown, as_seen_inside, enclosing, mounts
from remote_runtime.providers.docker.options import Wanted, body

CONFIG = ContainerConfig(
    container_id="ctr_1",
    session_id="ses_1",
    epoch="ep_1",
    control_url="unix:/run/cb/agents/runtime.sock",
    token="cb_secret",
    python="/data/env/x/bin/python",
    work_dir="/data/sessions/ses_1/work",
    state_dir="/data/sessions/ses_1/state",
    arena_dir="/arena/ses_1",
    env={"HF_TOKEN": "hidden"},
    secret_keys=("HF_TOKEN",),
)
WANTED = Wanted(
    config=CONFIG, image="sha256:1", python="/usr/bin/python3", user="0:0", cell_uid=1_900_000_001, mounts=()
)


def host_config(**asked: Any) -> dict[str, Any]:
    """Return the limits of a container of which this was asked."""
    told: dict[str, Any] = body(replace(WANTED, config=replace(CONFIG, **asked)))["HostConfig"]
    return told


def test_nothing_secret_is_in_what_the_engine_is_told() -> None:
    """Token and secrets come to a container by another way than its description."""
    assert "cb_secret" not in str(body(WANTED))
    assert "hidden" not in str(body(WANTED))


def test_a_container_may_nearly_nothing() -> None:
    """All capabilities are dropped but those with which its supervisor makes cells somebody else, and ends them."""
    told = host_config()
    assert told["CapDrop"] == ["ALL"]
    assert told["CapAdd"] == ["SETUID", "SETGID", "KILL"]
    assert told["SecurityOpt"] == ["no-new-privileges"]
    assert told["RestartPolicy"] == {"Name": "no"}


def test_who_is_already_the_cells_user_gets_no_capability() -> None:
    """An ordinary user's runtime has containers of that user."""
    assert body(replace(WANTED, cell_uid=None, user="1000:1000"))["HostConfig"]["CapAdd"] == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"memory_bytes": 1 << 30}, {"Memory": 1 << 30, "MemorySwap": 1 << 30, "ShmSize": 1 << 30}),
        ({"cpu": 1.5}, {"NanoCpus": 1_500_000_000}),
        ({"pids": 100}, {"PidsLimit": 164}),
        ({"network": False}, {"NetworkMode": "none"}),
        ({}, {"NetworkMode": "bridge", "DeviceRequests": []}),
    ],
)
def test_what_was_asked_for_is_a_limit_of_the_engine(asked: dict[str, Any], told: dict[str, Any]) -> None:
    """Memory without swap, shared memory up to all of it, cores, processes with some to spare for the agent, egress."""
    assert told.items() <= host_config(**asked).items()


def test_cards_are_asked_for_by_uuid() -> None:
    """It is those very cards, not so many."""
    [request] = body(replace(WANTED, cards=("GPU-1", "GPU-2")))["HostConfig"]["DeviceRequests"]
    assert (request["DeviceIDs"], request["Count"]) == (["GPU-1", "GPU-2"], 0)


def test_who_asked_for_no_card_has_none() -> None:
    """Also in an image that asks for all of them by a variable."""
    assert "NVIDIA_VISIBLE_DEVICES=void" in body(WANTED)["Env"]
    assert not any(one.startswith("NVIDIA_") for one in body(replace(WANTED, cards=("GPU-1",)))["Env"])


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(own=Path("/own"), payload=tmp_path, shared=(Path("/data/images/layers"),))


def targets(config: ContainerConfig, shown: Shown) -> dict[str, Mount]:
    return {mount.target: mount for mount in mounts(config, shown)}


def test_the_work_appears_in_the_notebooks_folder(shown: Shown) -> None:
    """A path that worked at home works in a container."""
    at = targets(replace(CONFIG, notebook_directory="/home/ada/notes"), shown)
    assert at["/home/ada/notes"].source == CONFIG.work_dir


@pytest.mark.parametrize("folder", ["", "/", "/usr/share/x", "/cellburst", "/data/images", "relative"])
def test_a_folder_that_would_cover_something_does_not_appear(shown: Shown, folder: str) -> None:
    """Nothing the container needs lies under the notebook's files: its cells are in a folder of ours then."""
    asked = replace(CONFIG, notebook_directory=folder)
    shown_ones = mounts(asked, shown)
    assert CONFIG.work_dir not in {mount.source for mount in shown_ones if mount.target == folder}
    assert as_seen_inside(asked, shown_ones).notebook_directory == ""


def test_inside_no_path_is_the_hosts(shown: Shown) -> None:
    """What a container is told names what it can see."""
    told = as_seen_inside(CONFIG, mounts(CONFIG, shown))
    assert told.control_url == "unix:/cellburst/door/runtime.sock"
    assert {told.work_dir, told.state_dir, told.arena_dir} == {
        "/cellburst/session/work",
        "/cellburst/session/state",
        "/cellburst/arena",
    }


def test_the_nearest_mount_is_the_one_around() -> None:
    """What is mounted in a mount needs a place in that one."""
    assert enclosing("/tmp/a/b", ["/tmp", "/tmp/a", "/tmp/ab"]) == "/tmp/a"
    assert enclosing("/srv", ["/tmp"]) == ""


@pytest.mark.parametrize(
    ("state", "said", "cause"),
    [
        ({"ExitCode": 0}, {"cause": "stopped"}, "stopped"),
        ({"OOMKilled": True, "ExitCode": 137}, {}, "the container ran out of memory: limit 512 MiB"),
        ({"ExitCode": 137}, {}, "the container was ended by SIGKILL"),
        ({"ExitCode": 3}, {}, "the container exited with code 3"),
        ({"ExitCode": 255}, {}, "it was lost: the container engine was not running when it ended"),
        ({"Error": "no such device", "ExitCode": 128}, {}, "the container engine ended it: no such device"),
    ],
)
def test_causes_are_told_apart(state: dict[str, Any], said: dict[str, Any], cause: str) -> None:
    """Its supervisor knows best; where it said nothing, the engine's word is translated."""
    inspected = {"State": {**state, "FinishedAt": "2026-01-02T03:04:05.123456789Z"}}
    status = ended({**inspected, "HostConfig": {"Memory": 512 << 20}}, said)
    assert (status.phase, status.cause) == (Phase.GONE, cause)
    assert status.ended_at_s == pytest.approx(1767323045.123456)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "", "soon"])
def test_no_time_is_no_time(text: str) -> None:
    """An engine that does not know when something ended says so in its own way."""
    assert finished_at_s(text) is None


def test_podmans_time_has_a_zone() -> None:
    """It is the same moment."""
    assert finished_at_s("2026-01-02T05:04:05.5+02:00") == finished_at_s("2026-01-02T03:04:05.5Z")
