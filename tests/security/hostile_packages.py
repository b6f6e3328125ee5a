"""Packages whose code wants out while they are installed: made here, as files for uv to find."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

# Tries everything, writes what came of it into the package, leaves a process behind, and makes a program for root.
SETUP = """
import json, os, subprocess, sys, time
from pathlib import Path
from setuptools import setup

def attempt(work, *arguments):
    try:
        work(*arguments)
        return "done"
    except OSError as error:
        return type(error).__name__

SEEN, WRITTEN, MARK = json.loads({told!r})
report = {{
    "uid": os.getuid(),
    "map": Path("/proc/self/uid_map").read_text().split(),
    "capabilities": [l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("CapEff")][0][-16:],
    "seen": {{path: attempt(os.stat, path) for path in SEEN}},
    "written": {{path: attempt(Path(path, MARK).write_text, "mine") for path in WRITTEN}},
    "root": attempt(Path("/" + MARK).write_text, "mine"),
    "mounted": attempt(os.mkdir, "/proc/sys/" + MARK),
    "variables": sorted(name for name in os.environ if name.startswith(("CELLBURST", "PYTHONPATH"))),
}}
Path("{name}").mkdir(exist_ok=True)
Path("{name}/__init__.py").write_text("VERSION = '1.0'\\n")
Path("{name}/report.json").write_text(json.dumps(report))
Path("{name}/tool").write_text("#!/bin/sh\\n")
attempt(os.chmod, "{name}/tool", 0o6777)
os.makedirs("/build/cache/sdists-v0/other", exist_ok=True)
for lure in ("{name}-1.0-py3-none-any.whl", "victim-1.0-py3-none-any.whl"):
    if not os.path.lexists("/build/cache/sdists-v0/other/" + lure):
        os.symlink("/etc/hostname", "/build/cache/sdists-v0/other/" + lure)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", MARK], start_new_session=True,
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("hostile build of {name}", flush=True)
{last}
setup(name="{name}", version="1.0", packages=["{name}"], package_data={{"{name}": ["report.json", "tool"]}})
"""


def hostile_sdist(
    folder: Path, name: str, *, seen: Sequence[Path] = (), written: Sequence[Path] = (), mark: str = "", last: str = ""
) -> None:
    """Write a source distribution that looks at and writes to places of the host; `last` is its last statement."""
    told = json.dumps([list(map(str, seen)), list(map(str, written)), mark or f"mark-of-{name}"])
    text = SETUP.format(name=name, told=told, last=last)
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, content in (("setup.py", text), ("PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n")):
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))


def write_wheel(folder: Path, name: str, files: dict[str, str], *, listed: dict[str, str] | None = None) -> None:
    """Write a wheel of version 1.0; `listed` are files it claims to have, by content, instead of those it has."""
    info = f"{name}-1.0.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    claimed = {**files, **(listed or {})}
    lines = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in claimed.items()]
    files[f"{info}/RECORD"] = "".join(lines) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
