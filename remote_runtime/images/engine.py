"""Images of a container engine, made step by step; a step that was made before is found again.

Each step is an image `cellburst-layer:KEY`, where the key is made of the steps so far and of the files they read. So
recipes of two people share what they begin with, and a change builds anew from there. A step that runs a command is a
container with what the host lends, committed; the rest is a line for the engine's own builder, as is a person's own
Dockerfile. None of it needs BuildKit.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadImage, BuildFailed
from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.images.context import ContextFile, pack_context
from remote_runtime.images.engine_api import EngineApi, Job
from remote_runtime.images.instructions import SLIM, Instruction, UserFile, plan_image
from remote_runtime.images.lent import lent, proxies
from remote_runtime.images.pip_config import PipOptions, redact
from remote_runtime.images.uv import failing_line, is_error

LAYER: Final = "cellburst-layer"  # the repository of every step's image
THERE: Final = ": there already"  # ends the line of a step that needs no building
_LAST_LINES: Final = 20
_SLIM: Final = re.compile(SLIM.format(python=r"([\d.]+)") + r"\Z")
_PROBE: Final = (
    "for name in python3 python; do command -v $name >/dev/null && exec $name -c "
    "'import sys; print(\"%d.%d\" % sys.version_info[:2])'; done; exit 0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image that is there."""

    image: str  # its id
    python: str  # its minor version, "3.11"
    cached: bool
    layers: tuple[str, ...] = ()  # the names of its steps' images
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What of this host builds are made with."""

    url: str  # of the engine
    pip: PipOptions
    uv: str
    scratch: Path
    network: str = ""  # as for `docker build --network`; empty: the engine's default
    slim: str = ""  # an image in the place of SLIM


@dataclass(slots=True)
class EngineBuild:
    """One build. It blocks: run it in a thread, and stop its connection from any other."""

    api: EngineApi
    options: BuildOptions
    say: Callable[[str], None]
    secrets: Mapping[str, str] = field(default_factory=dict)  # variables of the steps that name secrets
    owner: str = ""  # steps with secrets are shared with nobody else
    pythons: dict[str, str] = field(default_factory=dict)  # minor versions by the ids of images
    _cached: bool = True

    def run(self, recipe: ImageRecipe) -> Built:
        """Build a recipe, or find it; raises BadImage, and BuildFailed naming the step."""
        plan = plan_image(recipe)
        key, image = self._base(plan.base)
        layers = [f"{LAYER}:{key}"] if isinstance(plan.base, UserFile) else []
        for number, instruction in enumerate(plan.instructions, 1):
            key = _key(key, instruction, self.owner)
            image = self._layer(key, image, instruction, f"{number}/{len(plan.instructions)}")
            layers.append(f"{LAYER}:{key}")
        if image not in self.pythons:
            self.pythons[image] = self._python(image, recipe)
        return Built(
            image=image,
            python=self.pythons[image],
            cached=self._cached,
            layers=tuple(layers),
            size_bytes=self.api.size_of(image),
        )

    def _base(self, base: str | UserFile) -> tuple[str, str]:
        if isinstance(base, UserFile):
            key = _hash("dockerfile", base.path, *base.arguments, *map(_content, base.files))
            step = f"from_dockerfile({base.path!r})"
            found = self.api.id_of(f"{LAYER}:{key}")
            return key, found or self._built(key, base.files, base.path, step, base.arguments)
        if self.options.slim and (slim := _SLIM.match(base)):
            base = self.options.slim.format(python=slim[1])
        image = self._present(base)
        return _hash("image", image), image

    def _present(self, name: str) -> str:
        """An image that is here is taken as it is, so that a recipe means the same tomorrow."""
        if image := self.api.id_of(name):
            return image
        self._cached = False
        self.say(f"fetching {name}")
        try:
            self.api.pull(name)
        except BuildFailed as error:
            raise BuildFailed(f"The image {name} is not on this host and could not be fetched: {error}") from error
        return self.api.id_of(name)

    def _layer(self, key: str, parent: str, instruction: Instruction, number: str) -> str:
        shown = instruction.step or instruction.text
        if found := self.api.id_of(f"{LAYER}:{key}"):
            self.say(f"step {number} {shown}{THERE}")
            return found
        self.say(f"step {number} {shown}")
        if instruction.command:
            return self._ran(key, parent, instruction)
        lines = ContextFile("Dockerfile", f"FROM {parent}\n{instruction.text}\n".encode())
        files = [file for file in instruction.files if file.path != lines.path]
        return self._built(key, [*files, lines], lines.path, shown)

    def _built(
        self, key: str, files: Iterable[ContextFile], dockerfile: str, step: str, arguments: tuple[str, ...] = ()
    ) -> str:
        """Have the engine's own builder do it."""
        self._cached = False
        said: list[str] = []
        tag = f"{LAYER}:{key}"
        given = {**proxies(self.options.pip), **dict(item.split("=", 1) for item in arguments)}
        try:
            for line in self.api.build(pack_context(files), dockerfile, tag, given, self.options.network):
                self._show(line, said, ())
        except BuildFailed as error:
            raise _failure(step, [*said, str(error)]) from error
        return self.api.id_of(tag)

    def _ran(self, key: str, parent: str, instruction: Instruction) -> str:
        """Run a command in a container of the image so far, with what the host lends, and keep what it wrote."""
        self._cached = False
        config, options, said = self.api.config_of(parent), self.options, list[str]()
        shell = config.get("Shell") or ["/bin/sh", "-c"]
        given = self.secrets if instruction.secrets else {}
        with lent(options.scratch, options.pip, options.uv, [*shell, instruction.command], given) as what:
            job = Job(image=parent, entrypoint=what.entrypoint, binds=what.binds, network=options.network)
            with self.api.ran(job, lambda line: self._show(line, said, what.hidden)) as (container, code):
                if code:
                    raise _failure(instruction.step, said, code)
                # An empty list is no program; none at all would be what the container ran.
                kept = {**config, "Entrypoint": config.get("Entrypoint") or []}
                return self.api.commit(container, LAYER, key, instruction.step, kept)

    def _show(self, text: str, said: list[str], hidden: tuple[str, ...]) -> None:
        for value in hidden:
            text = text.replace(value, "****")
        if line := redact(text.rstrip()):
            said.append(line)
            del said[:-_LAST_LINES]
            self.say(line)

    def _python(self, image: str, recipe: ImageRecipe) -> str:
        """Ask the image for its Python; raises BadImage saying how it gets one."""
        said: list[str] = []
        job = Job(image=image, entrypoint=["/bin/sh", "-c", _PROBE], network="none")
        try:
            with self.api.ran(job, said.append):
                pass
        except BuildFailed as error:
            said = [] if "no such file" in str(error).lower() else [*said, ""]  # it has no shell either
            if said:
                raise
        versions = [line for line in said if re.fullmatch(r"\d\.\d+", line)]
        if not versions:
            raise BadImage(
                f'The image {recipe.label.strip()} has no Python: give it the notebook\'s, such as `add_python="3.11"`.'
            )
        return versions[-1]


def _failure(step: str, said: list[str], code: int = 0) -> BuildFailed:
    last = failing_line(said) if any(map(is_error, said)) else (said or ["it said nothing"])[-1].strip()
    how = f" exited with {code}" if code else " failed"
    return BuildFailed(f"The image's step `{step}`{how}: {last.rstrip('.')}. Correct it and run the cell again.")


def _key(before: str, instruction: Instruction, owner: str) -> str:
    private = ("secret", owner) if instruction.secrets else ()
    return _hash(before, instruction.text, *instruction.secrets, *private, *map(_content, instruction.files))


def _content(file: ContextFile) -> str:
    data = hashlib.sha256(file.data).hexdigest() if file.data is not None else ""
    return json.dumps([file.path, file.mode, file.link, data])


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
