"""From a recipe to what a container engine is told, step by step: values in, values out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import (
    COPY_STEPS,
    DEBIAN_SLIM,
    DOCKERFILE,
    FILE_STEPS,
    INSTALL_STEPS,
    MICROMAMBA,
    NOTEBOOK,
    REGISTRY,
    ImageRecipe,
    Step,
)
from remote_runtime.images.context import CONTEXT_FOLDER, ContextFile, files_of_step, read_context
from remote_runtime.images.requirements import check_requirement

SLIM: Final = "python:{python}-slim"
SOURCES: Final = "/usr/local/lib/python-sources"  # local modules that are layers
UV: Final = "uv pip install --no-cache --break-system-packages"  # the engine builder lends its own to a command
_BASES: Final = {
    DEBIAN_SLIM: SLIM,
    NOTEBOOK: SLIM,
    MICROMAMBA: "mambaorg/micromamba:2-debian12-slim",
}
_PYTHONS: Final = "/opt/python"
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*\Z")
_NOT_SHELL_FORM: Final = re.compile(r"\A\s*(\[|--|#|$)|\n|\r|<<|\\\s*\Z")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, and the files it reads.

    One that runs something also has its command for a shell: the same, but packages are installed by the uv that the
    engine builder lends, as they are without an engine.
    """

    text: str
    step: str = ""  # what a person called
    command: str = ""
    secrets: tuple[str, ...] = ()
    files: tuple[ContextFile, ...] = ()


@dataclass(frozen=True, slots=True)
class UserFile:
    """A person's own Dockerfile, which the engine builds as it is."""

    path: str  # in its context
    files: tuple[ContextFile, ...]
    arguments: tuple[str, ...] = ()  # KEY=VALUE

    @property
    def text(self) -> str:
        """Return what is in it; raises BadImage."""
        found = next((file.data for file in self.files if file.path == self.path), None)
        if found is None:
            raise BadImage(f"The context has no Dockerfile `{self.path}`.")
        return found.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Plan:
    """How an image is made: from an image that has a name, or from a Dockerfile, by instructions."""

    base: str | UserFile
    instructions: tuple[Instruction, ...]


def plan_image(recipe: ImageRecipe, *, alone: bool = False) -> Plan:
    """Work out a recipe; raises BadImage for one that no engine can build.

    An image that stands `alone` also holds the files that would otherwise appear when a container starts.
    """
    steps = [step for step in recipe.steps if step.kind not in ("from_registry", "from_dockerfile")]
    if recipe.base in (DOCKERFILE, REGISTRY):
        if not recipe.steps or recipe.steps[0].kind != f"from_{recipe.base}" or not recipe.steps[0].args:
            raise BadImage(f"An image with the base `{recipe.base}` begins with a step `from_{recipe.base}`.")
        first = recipe.steps[0]
        base = _user_file(first) if recipe.base == DOCKERFILE else _tag(first.args[0])
    elif recipe.base in _BASES:
        base = _BASES[recipe.base].format(python=_minor(recipe.python))
    else:
        raise BadImage(f"`{recipe.base}` is no base image: use Image.debian_slim() or Image.from_registry().")
    writer = _Writer(recipe)
    lines = [*writer.beginning(), *(line for step in steps for line in writer.step(step))]
    last = [line for step in steps if alone and step.kind in FILE_STEPS for line in writer.copy(step)]
    return Plan(base, (*lines, *last))


class _Writer:
    """Writes the instructions of one recipe; it counts its steps and keeps what the next step needs."""

    def __init__(self, recipe: ImageRecipe) -> None:
        self._recipe = recipe
        self._python = "python" if recipe.base in _BASES or recipe.python else "python3"
        self._index: tuple[str, ...] = ()
        self._secrets: tuple[str, ...] = ()
        self._has_uv = False
        self._folders = 0

    def beginning(self) -> Iterator[Instruction]:
        """What a base image needs before its first step."""
        if self._recipe.base == MICROMAMBA:
            yield Instruction("USER root")
            yield Instruction("ENV PATH=/opt/conda/bin:$PATH")
            python = f"python={_minor(self._recipe.python)}"
            yield _run(
                f"micromamba install -y -n base -c conda-forge {python} pip && micromamba clean -y -a", "micromamba"
            )

    def step(self, step: Step) -> Iterator[Instruction]:
        """One step; options hold for the step that follows them."""
        match step.kind:
            case "index":
                self._index += step.args
            case "secret":
                self._secrets += step.args
            case kind if kind in FILE_STEPS:
                files_of_step(step, "")  # checked
            case kind if kind in COPY_STEPS:
                yield from self.copy(step)
            case _:
                yield from self._work(step)
                self._index, self._secrets = (), ()

    def copy(self, step: Step) -> Iterator[Instruction]:
        """Files as a layer."""
        self._folders += 1
        folder = f"{CONTEXT_FOLDER}/{self._folders}"
        found = files_of_step(step, folder)
        target = step.args[0] or SOURCES
        source = f"{folder}/file" if step.args[1:2] == ("",) else f"{folder}/"
        target = target if source.endswith("file") else f"{target.rstrip('/')}/"
        places = json.dumps([source, target.replace("$", r"\$")])
        yield Instruction(f"COPY {places}", _name(step), files=found)
        if not step.args[0]:
            yield Instruction(f'ENV PYTHONPATH="{SOURCES}${{PYTHONPATH:+:$PYTHONPATH}}"')

    def _work(self, step: Step) -> Iterator[Instruction]:
        if step.kind in INSTALL_STEPS:
            yield from self._install(step)
        elif step.kind == "dockerfile_commands":
            files = read_context(step.args[0]) if step.args and step.args[0] else ()
            yield from (Instruction(line, _name(step), _run_command(line), files=files) for line in step.args[1:])
        elif step.kind == "run_function" and len(step.args) == 2:
            words = [self._python, "-c", step.args[1]]
            yield Instruction(f"RUN {json.dumps(words)}", _name(step), shlex.join(words), self._secrets)
        elif text := _setting(step):
            yield Instruction(text, _name(step))
        else:
            yield from (_run(command, _name(step), self._secrets) for command in self._commands(step))

    def _commands(self, step: Step) -> list[str]:
        match step.kind:
            case "run_commands":
                return list(step.args)
            case "apt_install":
                packages = shlex.join(step.args)
                return [
                    f"apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y {packages} "
                    "&& rm -rf /var/lib/apt/lists/*"
                ]
            case "micromamba_install":
                channels = [f"-c={arg.partition('=')[2]}" for arg in step.args if arg.startswith("--channel=")]
                packages = shlex.join([*channels, *(arg for arg in step.args if not arg.startswith("--"))])
                return [f"micromamba install -y -n base {packages} && micromamba clean -y -a"]
            case "add_python":
                return list(_add_python(_minor(_one(step))))
        raise BadImage(f"This runtime knows no image step `{step.kind}`.")

    def _install(self, step: Step) -> Iterator[Instruction]:
        wanted = shlex.join(check_requirement(item) for item in step.args)
        foreign = self._recipe.base in (REGISTRY, DOCKERFILE)  # a distribution may manage its Python
        pip = _words("PIP_BREAK_SYSTEM_PACKAGES=1" if foreign else "", f"{self._python} -m pip install --no-cache-dir")
        text = _words(pip, shlex.join(self._index), wanted)
        options = [*map(_uv_option, self._index), *(["--no-deps"] if step.kind == "uv_sync" else [])]
        if step.kind != "pip_install":
            first = "" if self._has_uv else f"{pip} uv && "
            system = _words("--system --no-cache", "--break-system-packages" if foreign else "")
            text = first + _words(f"{self._python} -m uv pip install {system}", shlex.join(options), wanted)
            self._has_uv = True
        command = _words(UV, '--python "$(command -v python3 || command -v python)"', shlex.join(options), wanted)
        yield replace(_run(text, _name(step)), command=command)


def _setting(step: Step) -> str:
    """Return the instruction for a step that only sets something; empty for others."""
    match step.kind:
        case "force_build":
            return f"ARG FORCE_BUILD={_word(step.args)}"
        case "env":
            return f"ENV {' '.join(_variable(item) for item in step.args)}"
        case "workdir":
            return f"WORKDIR {_escaped(_one(step))}"
        case "entrypoint":
            return f"ENTRYPOINT {json.dumps(list(step.args))}"
    return ""


def _add_python(minor: str) -> Iterator[str]:
    """A build that needs nothing of the image, as uv installs it; its programs come first in PATH."""
    yield (
        f"(command -v curl >/dev/null || (apt-get update && apt-get install -y curl ca-certificates)) "
        f"&& curl -LsSf https://astral.sh/uv/install.sh | UV_INSTALL_DIR={_PYTHONS}/bin UV_NO_MODIFY_PATH=1 sh "
        f"&& UV_PYTHON_INSTALL_DIR={_PYTHONS} {_PYTHONS}/bin/uv venv --seed --python {minor} /usr/local/python "
        "&& ln -sf /usr/local/python/bin/* /usr/local/bin/"
    )


def _run(command: str, step: str, secrets: tuple[str, ...] = ()) -> Instruction:
    """The shell form where a Dockerfile can hold it, else the exec form, in which a line can have any letter."""
    text = json.dumps(["/bin/sh", "-c", command]) if _NOT_SHELL_FORM.search(command) else command
    return Instruction(f"RUN {text}", step, command, secrets)


def _run_command(line: str) -> str:
    """Return what a line of a Dockerfile runs; empty for what only a builder understands."""
    word, _, rest = line.strip().partition(" ")
    if word.upper() != "RUN" or rest.lstrip().startswith("--") or "<<" in rest:
        return ""
    try:
        words = json.loads(rest)
    except ValueError:
        return rest.strip()
    return shlex.join(words) if isinstance(words, list) and all(isinstance(item, str) for item in words) else rest


def _name(step: Step) -> str:
    """The step for people, as short as it can be told from others."""
    shown = step.args[:1] if step.kind in ("run_function", "from_dockerfile") else step.args
    if step.kind in COPY_STEPS or step.kind == "env":
        shown = tuple(item.partition("=")[0] for item in step.args[:1])
    if step.kind == "dockerfile_commands":
        shown = step.args[1:]
    text = ", ".join(map(repr, filter(None, shown)))
    return f"{step.kind.replace('copy_', 'add_')}({text if len(text) < 80 else f'{text[:77]}...'})"


def _user_file(step: Step) -> UserFile:
    if len(step.args) < 2:
        raise BadImage("from_dockerfile wants the Dockerfile's path and its context.")
    made = UserFile(step.args[0], read_context(step.args[1]), tuple(map(_argument, step.args[2:])))
    if not made.text.strip():
        raise BadImage(f"The Dockerfile `{made.path}` is empty.")
    return made


def _argument(item: str) -> str:
    if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", item):
        raise BadImage(f"`{item[:80]}` is no build argument: write KEY=VALUE.")
    return item


def _tag(name: str) -> str:
    if not _TAG.match(name):
        raise BadImage(f"`{name[:80]}` is no name of an image.")
    return name


def _minor(version: str) -> str:
    if not re.match(r"3\.\d{1,2}\Z", version):
        raise BadImage(f"`{version[:80]}` is not a Python version: write for example `3.11`.")
    return version


def _one(step: Step) -> str:
    if len(step.args) != 1 or "\n" in step.args[0]:
        raise BadImage(f"{step.kind} wants one value.")
    return step.args[0]


def _word(args: Sequence[str]) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", "".join(args))


def _words(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _variable(item: str) -> str:
    name, found, value = item.partition("=")
    if not found or not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name) or re.search(r"[\0\r\n]", value):
        raise BadImage(f"`{name[:80]}`: a variable of an image has a name and a value on one line.")
    return f'{name}="{_escaped(value, quotes=True)}"'


def _escaped(text: str, *, quotes: bool = False) -> str:
    """A Dockerfile would take `$NAME` for a variable, and a backslash for what protects the next letter."""
    return re.sub(r'["\\$]' if quotes else r"[\"'\\$]", lambda found: f"\\{found[0]}", text)


def _uv_option(option: str) -> str:
    name, _, value = option.partition("=")
    new = {"--index-url": "--default-index", "--extra-index-url": "--index", "--pre": "--prerelease=allow"}
    return f"{new.get(name, name)}={value}" if value else new.get(name, name)
