"""The Python a container runs: the image's own, with the packages of an environment of ours.

Where the recipe is packages alone, its virtual environment is shown at its own path, with the image's interpreter in
the place of this host's: one made here may want libraries that the image lacks. Where the recipe is an image, its
interpreter runs as it is, and what our agent needs comes after all it has.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import Mount
from remote_runtime.providers.docker.engine import Engine, EngineGone, NoSuch, Refused

_PROBE: Final = (
    "import json, os, sys; print(json.dumps({'executable': sys.executable, 'minor': '%d.%d' % sys.version_info[:2],"
    " 'base': os.path.realpath(getattr(sys, '_base_executable', '') or sys.executable)}))"
)
_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePython:
    """The interpreter of one image."""

    image: str  # the image's id: what its name means may change
    executable: str
    base: str  # the same, outside of any virtual environment
    minor: str  # "3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What a container's first process is started with."""

    python: str
    needs: str = ""
    mounts: tuple[Mount, ...] = ()


class Pythons:
    """Looks into images, once each."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._label = label
        self._known: dict[tuple[str, str], ImagePython | None] = {}

    async def of(self, image: str, wanted: str) -> ImagePython:
        """Return the Python of an image, fetched if it is not here; raises StartFailed where it has none that fits."""
        image_id = await self._present(image)
        if (image_id, wanted) not in self._known:
            self._known[image_id, wanted] = await self._find(image_id, wanted)
        found = self._known[image_id, wanted]
        way_on = f'Have it added: Image.from_registry("{image}", add_python="{wanted}").'
        if found is None:
            raise StartFailed(f"The image {image} has no Python. {way_on}")
        if found.minor != wanted:
            raise StartFailed(f"The image {image} has Python {found.minor}, but the notebook has {wanted}. {way_on}")
        return found

    async def _find(self, image_id: str, wanted: str) -> ImagePython | None:
        """Return the interpreter of that version, else any; None for none."""
        best = None
        for name in (f"python{wanted}", "python3", "python"):
            found = await self._ask(image_id, name)
            if found is not None and found.minor == wanted:
                return found
            best = best or found
        return best

    async def _present(self, image: str) -> str:
        try:
            return str((await self._engine.image(image))["Id"])
        except NoSuch:
            pass
        try:
            await self._engine.pull(image)
            return str((await self._engine.image(image))["Id"])
        except (NoSuch, Refused, EngineGone) as error:
            raise StartFailed(f"The image {image} is not on this host and could not be fetched: {error}.") from error

    async def _ask(self, image_id: str, name: str) -> ImagePython | None:
        """Run an interpreter of that name; None where there is none."""
        body = {
            "Image": image_id,
            "Entrypoint": [name, "-c", _PROBE],
            "Cmd": [],
            "Labels": {self._label: ""},
            "HostConfig": {"NetworkMode": "none", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]},
        }
        container = await self._engine.create(f"cellburst-probe-{uuid4().hex[:12]}", body)
        try:
            await self._engine.start(container)
            if await self._engine.wait(container, _WITHIN_S):
                return None
            said = json.loads((await self._engine.output(container)).strip().splitlines()[-1])
        except (Refused, NoSuch, ValueError, IndexError):  # there is no such program, or it is no Python of ours
            return None
        finally:
            await self._engine.remove(container)
        return ImagePython(
            image=image_id, executable=str(said["executable"]), base=str(said["base"]), minor=str(said["minor"])
        )


def environment_of(python: str) -> tuple[Path, str]:
    """Return the folder of an environment, and its Python's minor version, from the path of its interpreter.

    Raises StartFailed where it is no environment of ours.
    """
    folder = Path(python).parent.parent
    libraries = sorted(folder.glob("lib/python3.*/site-packages"))
    if not libraries:
        raise StartFailed(f"The environment's Python did not start: there is no environment in {folder}.")
    return folder, libraries[0].parent.name.removeprefix("python")


def in_its_place(environment: Path, python: ImagePython, views: Path) -> Interpreter:
    """Return an environment as a container sees it, run by the image's interpreter."""
    view = _view(environment, python, views)
    shown = (
        Mount(source=str(environment), target=str(environment), read_only=True),
        Mount(source=str(view / "bin"), target=str(environment / "bin"), read_only=True),
        Mount(source=str(view / "pyvenv.cfg"), target=str(environment / "pyvenv.cfg"), read_only=True),
    )
    return Interpreter(python=str(environment / "bin" / "python"), mounts=shown)


def after_its_own(environment: Path, python: ImagePython) -> Interpreter:
    """Return an image's interpreter as it is, with the packages of an environment behind all it has."""
    site = environment / "lib" / f"python{python.minor}" / "site-packages"
    shown = (Mount(source=str(site), target=str(site), read_only=True),)
    return Interpreter(python=python.executable, needs=str(site), mounts=shown)


def _view(environment: Path, python: ImagePython, views: Path) -> Path:
    """Make, or find, the part of an environment that names an interpreter."""
    key = hashlib.sha256(f"{environment}\0{python.base}\0{python.minor}".encode()).hexdigest()[:24]
    view = views / key
    if view.is_dir():
        return view
    part = views / f".{key}.{uuid4().hex}"
    programs = part / "bin"
    programs.mkdir(parents=True)
    part.chmod(0o755)
    for name in ("python", "python3", f"python{python.minor}"):
        (programs / name).symlink_to(python.base)
    for script in (environment / "bin").iterdir():
        if script.is_file() and not script.is_symlink() and not script.name.startswith("python"):
            shutil.copy(script, programs / script.name)
    home = Path(python.base).parent
    (part / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\nversion = {python.minor}\n")
    try:
        part.rename(view)
    except OSError:  # another start was quicker
        shutil.rmtree(part, ignore_errors=True)
    return view
