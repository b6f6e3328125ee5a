"""Images of a container engine for the control plane: built in threads, and once however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from kernel_bridge.errors import BuildFailed
from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.images.engine import LAYER, BuildOptions, Built, EngineBuild
from remote_runtime.images.engine_api import EngineApi, Job
from remote_runtime.images.flights import Flights
from remote_runtime.images.uv import Progress

T = TypeVar("T")

_PINS: Final = (
    "for name in python3 python; do command -v $name >/dev/null && exec $name -c 'import importlib.metadata as m\n"
    'for d in m.distributions(): print("%s==%s" % (d.metadata["Name"], d.version))\'; done'
)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked for an image: secrets of a recipe have this person's values."""

    owner: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


NOBODY: Final = Asker()


class EngineBuilder:
    """Has one engine build. It owns its builds until `aclose`."""

    def __init__(self, options: BuildOptions, *, timeout_s: float) -> None:
        self._options = options
        self._timeout_s = timeout_s
        self._flights = Flights()
        self._built: dict[str, Built] = {}
        self._pythons: dict[str, str] = {}

    async def build(self, recipe: ImageRecipe, asker: Asker, progress: Progress) -> Built:
        """Build a recipe or find it built; raises BadImage, and BuildFailed naming the step.

        Its log is everything that `progress` is told. What was built is looked for in the engine each time.
        """
        key = f"{recipe.digest}/{asker.owner}" if recipe.secrets else recipe.digest
        await self._flights.join(key, partial(self._once, key, recipe, asker), progress)
        return self._built[key]

    def under_way(self) -> frozenset[str]:
        """Return the digests of what is being built."""
        keys = self._flights.keys()
        return frozenset(key.partition("/")[0] for key in keys)

    async def installed(self, image: str) -> list[str]:
        """Return exact pins of the Python packages in an image; raises BuildFailed."""
        said: list[str] = []
        job = Job(image=image, entrypoint=["/bin/sh", "-c", _PINS], network="none")
        await self._with_engine(lambda api: _run(api, job, said.append))
        return sorted({line for line in said if "==" in line}, key=str.lower)

    async def prune(self, kept: Collection[str]) -> int:
        """Let go of the images of steps that are not among these names; returns how many went. Raises BuildFailed."""
        return await self._with_engine(lambda api: _prune(api, kept) if not self._flights.keys() else 0)

    async def _with_engine(self, work: Callable[[EngineApi], T]) -> T:
        def done() -> T:
            api = EngineApi(self._options.url)
            try:
                return work(api)
            finally:
                api.close()

        return await asyncio.to_thread(done)

    async def aclose(self) -> None:
        """End what is under way."""
        await self._flights.aclose()

    async def _once(self, key: str, recipe: ImageRecipe, asker: Asker, progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        api = await asyncio.to_thread(EngineApi, self._options.url)

        def say(line: str) -> None:
            loop.call_soon_threadsafe(progress, line)

        build = EngineBuild(api, self._options, say, asker.secrets, asker.owner, self._pythons)
        work = asyncio.ensure_future(asyncio.to_thread(build.run, recipe))
        try:
            async with asyncio.timeout(self._timeout_s):
                self._built[key] = await asyncio.shield(work)
        except TimeoutError:
            raise BuildFailed(f"The build took longer than {self._timeout_s:.0f} s and was ended.") from None
        finally:
            if not work.done():
                await asyncio.to_thread(api.stop)
                await asyncio.wait([work])
                work.exception()  # seen: it was ended
            await asyncio.to_thread(api.close)


def _run(api: EngineApi, job: Job, line: Progress) -> None:
    with api.ran(job, line):
        return


def _prune(api: EngineApi, kept: Collection[str]) -> int:
    return sum(api.untag(name) for name in api.names(LAYER) if name.removeprefix("localhost/") not in kept)
