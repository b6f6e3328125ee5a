"""An environment with numpy, pandas and scikit-learn at fixed versions, every package in the local cache. *Unseen
set*: asked for in a spelling that this host has not seen, so it is resolved, linked and given its compiled modules
anew. *Seen set*: asked for again. *pip*: `python -m venv` and `pip install` of the same pins, its cache warm. *uv
alone*: `uv venv` and `uv pip install`, without compiled modules.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from uv import find_uv_bin

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.subject.runtime import PYTHON, data_dir, plain_image, runtime
from kernel_bridge.client.http import ControlPlane

UNSEEN, SEEN, PIP, UV = "unseen set", "seen set", "pip", "uv alone"
PACKAGES: Final = ("numpy", "pandas", "scikit-learn")
COMPILED_WITHIN_S: Final = 120.0


def measure(effort: Effort) -> Measured:
    """Measure."""
    pins = [f"{name}=={metadata.version(name)}" for name in PACKAGES]
    spellings = spelt(pins)
    with runtime() as plane, tempfile.TemporaryDirectory() as folder:
        build(plane, pins)
        wait_until_compiled()
        known = set(built())
        uncompiled: list[str] = []

        def unseen() -> None:
            build(plane, next(spellings))

        def check() -> None:
            uncompiled.extend(path.name for path in built() if not (path / "cellburst-compiled").exists())

        contestants = [
            Contestant(UNSEEN, unseen, rest=check),
            Contestant(SEEN, lambda: build(plane, pins)),
            Contestant(UV, lambda: install_with_uv(Path(folder), pins)),
        ]
        times = contest(contestants, runs=effort.times(12), limit_s=60)
        slow = [Contestant(PIP, lambda: install_with_pip(Path(folder), pins))]
        times |= contest(slow, runs=effort.times(2, 1), warm_up=0, limit_s=60)
        for path in set(built()) - known:
            shutil.rmtree(path)
    ready = (
        "with compiled modules as soon as it was built" if not uncompiled else f"{len(uncompiled)} not compiled at once"
    )
    return Measured(times, (f"unseen sets were ready {ready}",))


def build(plane: ControlPlane, packages: Sequence[str]) -> Any:
    """Have an image built and wait for it."""
    return plane.build_image(plain_image(*packages))


def spelt(pins: Sequence[str]) -> Iterator[list[str]]:
    """Yield the same requirements, each time written in another way, never the same in two runs."""
    salt = int(time.time())
    for number in itertools.count(salt):
        yield [f"{pins[0]} ; python_full_version != '3.0.{number}'", *pins[1:]]


def built() -> list[Path]:
    """Return the environments of this data directory."""
    return [path for path in (data_dir() / "images" / "env").iterdir() if path.is_dir()]


def wait_until_compiled() -> None:
    """Wait until the packages of the first build are compiled: from then on every environment has them."""
    deadline_s = time.monotonic() + COMPILED_WITHIN_S
    while not all((path / "cellburst-compiled").exists() for path in built()):
        if time.monotonic() > deadline_s:
            raise RuntimeError("the environment was not compiled in time")
        time.sleep(0.1)


def install_with_pip(folder: Path, pins: Sequence[str]) -> None:
    """Make a virtual environment and install into it, as everyone does."""
    target = folder / f"pip-{time.monotonic_ns()}"
    subprocess.run([sys.executable, "-m", "venv", str(target)], check=True)
    command = [str(target / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *pins]
    subprocess.run(command, check=True)


def install_with_uv(folder: Path, pins: Sequence[str]) -> None:
    """Do the same with uv, from its cache."""
    target, uv = folder / f"uv-{time.monotonic_ns()}", find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", PYTHON, str(target)], check=True)
    command = [uv, "pip", "install", "--quiet", "--python", str(target / "bin" / "python"), *pins]
    subprocess.run(command, check=True)


ROW = Row(
    title="An environment, its packages in the cache",
    measure=measure,
    reference=PIP,
    ours=(UNSEEN, SEEN),
    limits=(UV,),
    promises=(
        Promise(what="unseen set, ready with .pyc", contestant=UNSEEN, limit=300.0),
        Promise(what="seen set", contestant=SEEN, limit=30.0),
    ),
)
