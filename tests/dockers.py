"""Docker providers for tests: on a real engine of their own, with folders of their own."""

from __future__ import annotations

import os
from pathlib import Path

from kernel_bridge.protocol.resources import parse_gpu
from remote_runtime.clock import SystemClock
from remote_runtime.providers.docker.engine import Engine as Api
from remote_runtime.providers.docker.provider import DockerProvider, Hosting
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.sandbox import Ours, Sandbox
from tests.engines import IMAGE, Engine


def docker_provider(engine: Engine, directory: Path, *, simulated: str = "cpu") -> DockerProvider:
    """Return a provider whose folders lie below a directory."""
    data_dir, runtime_dir = directory / "data", directory / "run"
    ours = Ours(payload=prepare_payload(data_dir / "payload"), scratch=runtime_dir / "roots", lent=(directory,))
    hosting = Hosting(
        data_dir=data_dir, runtime_dir=runtime_dir, runtime=f"test-{directory.name}", image=IMAGE, network="none"
    )
    sandbox = Sandbox(ours, {"PATH": os.environ["PATH"]})
    return DockerProvider(Api(engine.url), hosting, sandbox, Inventory(parse_gpu(simulated)), SystemClock())
