"""Environments and package layers on this host: built once for their content, shared by all who ask.

data_dir/images/
├── env/DIGEST/       a uv virtual environment, hard-linked from uv's cache
├── layers/DIGEST/    packages for `sys.path`, the same way
├── files/DIGEST/     local files that came inside recipes
├── bytecode/3.11/    compiled modules by distribution
├── recipes/DIGEST.json, logs/DIGEST.log, locks/DIGEST.lock
└── tmp/              being built: renamed into place when whole
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from kernel_bridge.errors import BuildFailed, CellburstError
from kernel_bridge.protocol.containers import Mount
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.images import COPY_STEPS, FILE_STEPS, NOTEBOOK, ImageRecipe
from remote_runtime.images.build_log import BuildLog
from remote_runtime.images.bytecode import BytecodeStore
from remote_runtime.images.cage import Cage
from remote_runtime.images.catalogue import Catalogue
from remote_runtime.images.engine_builder import NOBODY, Asker, EngineBuilder
from remote_runtime.images.environment import EnvironmentPlan, needs_engine, plan_environment, plan_start
from remote_runtime.images.files import read_file_set, unpack
from remote_runtime.images.flights import Flights, exclusive
from remote_runtime.images.installer import Installer
from remote_runtime.images.interpreter import find_interpreter, own_minor
from remote_runtime.images.kernel_packages import KERNEL_PACKAGES, closure_pins, kernel_pins
from remote_runtime.images.pip_config import PipOptions
from remote_runtime.images.records import Environment, ImageStatus, Layer, Records, write_json
from remote_runtime.images.requirements import canonical, exact_pins, open_pins, requirement_name
from remote_runtime.images.shelf import ENV, FILES, LAYERS, READY, Shelf, remove
from remote_runtime.images.uv import Progress, Uv

T = TypeVar("T")

_COMPILED: Final = "cellburst-compiled"  # its modules are compiled


class Builder:
    """Makes what containers start from. One event loop; safe beside other processes on the same directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        pip_options: PipOptions,
        uv: str,
        cage: Cage | None = None,
        build_timeout_s: float = DEFAULTS.build_timeout_s,
        engine: EngineBuilder | None = None,
    ) -> None:
        """Without a cage, code of packages that uv builds runs as what this process is.

        Without an engine, a recipe that wants more than packages and files is refused.
        """
        self._root = data_dir / "images"
        (self._root / "tmp").mkdir(parents=True, exist_ok=True)
        self._options = pip_options
        self._uv = Uv(uv, self._root / "tmp")
        self._installer = Installer(self._uv, pip_options, self._root / "tmp", cage)
        self._build_timeout_s = build_timeout_s
        self._records = Records(self._root / "recipes")
        self._bytecode = BytecodeStore(self._root / "bytecode")
        self._engine = engine
        self._flights = Flights()
        self._compiling = Flights()
        self._background: set[asyncio.Task[None]] = set()
        self._interpreters: dict[str, str] = {}
        self.shelf = Shelf(self._root, lambda: self._flights.keys() | self._compiling.keys())
        self.catalogue = Catalogue(self._root, self._records, self.shelf, engine, self._flights.keys)

    async def environment(self, recipe: ImageRecipe, progress: Progress, asker: Asker = NOBODY) -> Environment:
        """Return the environment of a recipe, built if it is not there; lines of the build go to `progress`.

        Raises BadImage for a recipe that can never build, BuildFailed with the failing line of uv's output, or the
        step of an engine's image.
        """
        self._records.keep(recipe)
        if self._engine is not None and needs_engine(recipe):
            return await self._of_engine(self._engine, recipe, progress, asker)
        began = _seconds()
        plan = plan_environment(
            recipe, kernel=kernel_pins(), default_python=own_minor(), notebook_constraints=_notebook_constraints()
        )
        interpreter = await self._interpreter(plan.python)
        digest = plan.digest(interpreter)
        self.shelf.use(ENV, digest)  # before the look at it: from here on it cannot be taken
        status = ImageStatus(
            digest=recipe.digest,
            label=recipe.label,
            base=recipe.base,
            python=plan.python,
            state="building",
            environment=digest,
        )
        cached = _is_ready(self._root / "env" / digest)
        if not cached:
            await self._recorded(
                status, self._joined("env", digest, partial(self._build_environment, plan, interpreter), progress)
            )
        elif (known := self._records.find(recipe.digest)) is None or known.state != "ready":
            self._records.image(replace(status, state="ready"))
        ready = self._environment(digest, plan, cached=cached, seconds=_seconds() - began)
        self._compile_soon(ready.path, interpreter, ready.site_packages, plan.python)
        return ready

    async def _of_engine(
        self, engine: EngineBuilder, recipe: ImageRecipe, progress: Progress, asker: Asker
    ) -> Environment:
        """Return an engine's image, with what our agent needs as an environment beside it."""
        began = _seconds()
        plan = plan_start(recipe, recipe.python)
        fresh = ImageStatus(
            digest=recipe.digest, label=recipe.label, base=recipe.base, python=recipe.python, state="building"
        )
        # What is known of its layers stays until there are others: nobody prunes them meanwhile.
        known = self._records.find(recipe.digest)
        status = replace(known or fresh, state="building", detail="", log=recipe.digest)
        log = BuildLog(self.catalogue.log_file(recipe.digest), progress)
        built = await self._recorded(status, engine.build(recipe, asker, log.line))
        beside = await self.environment(ImageRecipe(NOTEBOOK, built.python), _unheard)
        ready = replace(
            replace(status, state="ready", python=built.python, environment=beside.digest),
            image=built.image,
            layers=built.layers,
            size_bytes=built.size_bytes,
        )
        self._records.image(replace(ready, seconds=_seconds() - began))
        given = self._environment(beside.digest, replace(plan, python=built.python), cached=built.cached, seconds=0.0)
        return replace(given, image=built.image, seconds=_seconds() - began)

    async def layer(
        self, environment: Environment, requirements: Sequence[str], progress: Progress, *, resolve: bool = False
    ) -> Layer:
        """Return a directory with exactly these pins (`name==version`), without what the environment has itself.

        Their dependencies are not looked for: the caller names the whole closure, unless `resolve` says that uv is to
        choose what the requirements leave open. Raises BadRequest for anything but a pin, or a requirement, and
        BuildFailed with the failing line of uv's output.
        """
        began = _seconds()
        present = _installed(environment.site_packages)
        wanted = [item for item in requirements if requirement_name(item) not in present]
        pins, relabelled = (open_pins(wanted), True) if resolve else exact_pins(wanted, self._options.has_wheel)
        interpreter = await self._interpreter(environment.version)
        digest = _layer_digest(environment.version, interpreter, (*pins, "resolved") if resolve else pins)
        path = self._root / "layers" / digest
        self.shelf.use(LAYERS, digest)
        cached = _is_ready(path)
        if not cached:
            # Another build of a package than the notebook's (`+cpu` here, CUDA there) needs other packages.
            build = partial(self._build_layer, environment.version, interpreter, pins, not relabelled)
            await self._joined("layers", digest, build, progress)
        self._compile_soon(path, interpreter, path, environment.version)
        return Layer(digest=digest, path=path, requirements=pins, cached=cached, seconds=_seconds() - began)

    def names_of(self, recipe: ImageRecipe) -> frozenset[str]:
        """Return what a session with this recipe starts from, as the shelf names it."""
        status = self._records.find(recipe.digest)
        local = (read_file_set(step) for step in recipe.steps if step.kind in FILE_STEPS | COPY_STEPS)
        made = {f"{ENV}/{status.environment}"} if status is not None else set()
        made |= {f"recipes/{recipe.digest}.{suffix}" for suffix in ("json", "recipe")}
        return frozenset(made | {f"{FILES}/{item.digest}" for item in local})

    async def compiled(self) -> None:
        """Wait until the modules of everything handed out so far are compiled."""
        await asyncio.gather(*self._background, return_exceptions=True)

    async def aclose(self) -> None:
        """End what is under way; what was half built is never seen and is removed by the next build of it."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._compiling.aclose()
        if self._engine is not None:
            await self._engine.aclose()
        await self._flights.aclose()

    async def _interpreter(self, minor: str) -> str:
        if minor not in self._interpreters:
            self._interpreters[minor] = await find_interpreter(minor, self._uv, self._options.environment())
        return self._interpreters[minor]

    async def _recorded(self, status: ImageStatus, build: Awaitable[T]) -> T:
        began = _seconds()
        self._records.image(status)
        try:
            made = await build
        except CellburstError as error:
            self._records.image(replace(status, state="failed", seconds=_seconds() - began, detail=str(error)))
            raise
        self._records.image(replace(status, state="ready", seconds=_seconds() - began))
        return made

    async def _joined(
        self, kind: str, digest: str, build: Callable[[Path, Progress], Awaitable[None]], progress: Progress
    ) -> None:
        await self._flights.join(digest, partial(self._once, kind, digest, build), progress)

    async def _once(
        self, kind: str, digest: str, build: Callable[[Path, Progress], Awaitable[None]], progress: Progress
    ) -> None:
        """Build in a temporary directory and rename it into place, unless another process just did."""
        final = self._root / kind / digest
        async with exclusive(self._root / "locks" / f"{digest}.lock"):
            if _is_ready(final):
                return
            await asyncio.to_thread(self._sweep, digest)
            half_done = self._root / "tmp" / f"{digest}.{uuid4().hex}"
            try:
                async with asyncio.timeout(self._build_timeout_s):
                    await build(half_done, partial(self._written, digest, progress))
            except TimeoutError:
                raise BuildFailed(f"The build took longer than {self._build_timeout_s:.0f} s and was ended.") from None
            finally:
                await asyncio.to_thread(_settle, half_done, final)

    async def _build_environment(
        self, plan: EnvironmentPlan, interpreter: str, target: Path, progress: Progress
    ) -> None:
        await self._installer.environment(plan, interpreter, target, progress)
        await asyncio.to_thread(self._complete, target, _site_packages(target, plan.python), plan.python)

    async def _build_layer(
        self, version: str, interpreter: str, pins: tuple[str, ...], exact: bool, target: Path, progress: Progress
    ) -> None:
        await self._installer.layer(pins, interpreter, target, progress, with_dependencies=not exact)
        await asyncio.to_thread(self._complete, target, target, version)

    def _complete(self, target: Path, site: Path, version: str) -> None:
        """Add the compiled modules this host knows, then the mark of what is whole."""
        target.mkdir(exist_ok=True)  # a layer of nothing
        if self._bytecode.restore(site, version):
            (target / _COMPILED).touch()
        write_json(target / READY, {"version": version})

    def _environment(self, digest: str, plan: EnvironmentPlan, *, cached: bool, seconds: float) -> Environment:
        path = self._root / "env" / digest
        files = self._root / "files"
        for item in (*plan.files, *plan.sources):
            self.shelf.use(FILES, item.digest)
        return Environment(
            digest=digest,
            path=path,
            python=path / "bin" / "python",
            version=plan.python,
            site_packages=_site_packages(path, plan.python),
            env=plan.env,
            workdir=plan.workdir,
            mounts=tuple(
                Mount(source=str(unpack(item, files)), target=item.target, read_only=True) for item in plan.files
            ),
            layers=tuple(str(unpack(item, files)) for item in plan.sources),
            cached=cached,
            seconds=seconds,
        )

    def _compile_soon(self, path: Path, interpreter: str, site: Path, version: str) -> None:
        if (path / _COMPILED).exists() or path.name in self._compiling:
            return
        work = self._compiling.join(path.name, partial(self._compile, path, interpreter, site, version), _unheard)
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _compile(self, path: Path, interpreter: str, site: Path, version: str, progress: Progress) -> None:
        async with exclusive(self._root / "locks" / f"{path.name}.compile.lock"):
            if not (path / _COMPILED).exists():
                await self._bytecode.compile(interpreter, site, version, self._options.environment())
                (path / _COMPILED).touch()

    def _sweep(self, digest: str) -> None:
        """Remove what an interrupted build of the same thing left; its lock is ours."""
        for left in (self._root / "tmp").glob(f"{digest}.*"):
            remove(left)
        self.catalogue.log_file(digest).unlink(missing_ok=True)

    def _written(self, digest: str, progress: Progress, line: str) -> None:
        file = self.catalogue.log_file(digest)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")
        progress(line)


@cache
def _notebook_constraints() -> tuple[str, ...]:
    return closure_pins(KERNEL_PACKAGES)


def _is_ready(path: Path) -> bool:
    return (path / READY).is_file()


def _settle(half_done: Path, final: Path) -> None:
    """Rename what is whole into place; remove what is not."""
    if _is_ready(half_done):
        final.parent.mkdir(parents=True, exist_ok=True)
        half_done.rename(final)
    else:
        remove(half_done)


def _site_packages(environment: Path, version: str) -> Path:
    return environment / "lib" / f"python{version}" / "site-packages"


def _installed(site: Path) -> frozenset[str]:
    return frozenset(canonical(folder.name.partition("-")[0]) for folder in site.glob("*.dist-info"))


def _layer_digest(version: str, interpreter: str, pins: Sequence[str]) -> str:
    """Layers are shared by all environments of one interpreter."""
    content = ["layer", version, os.path.realpath(interpreter), *pins]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _unheard(line: str) -> None:
    """Nobody listens to a background compilation."""


def _seconds() -> float:
    return asyncio.get_running_loop().time()
