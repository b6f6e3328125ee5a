"""A knob nobody can find does not exist: settings, routes, options, commands and errors are in the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from jupyter_ext.magics import GpuMagics
from jupyter_ext.preferences import KEYS
from kernel_bridge.errors import BY_CODE
from remote_runtime.app import create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.settings import Settings
from remote_runtime.store.store import Store

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("jupyter_ext", "kernel_bridge", "remote_runtime")


def sources(*packages: str) -> str:
    """Return the text of every module of these packages."""
    return "\n".join(path.read_text() for package in packages for path in sorted((ROOT / package).rglob("*.py")))


def test_every_setting_is_documented() -> None:
    """Each CELLBURST_ variable the code reads has its row in settings.md."""
    page = (REFERENCE / "settings.md").read_text()
    used = set(re.findall(r"\bCELLBURST_[A-Z][A-Z_]*[A-Z]\b", sources(*PACKAGES)))
    assert {name for name in used if f"`{name}`" not in page} == set()


def test_no_setting_is_documented_that_nobody_reads() -> None:
    """settings.md promises nothing the code does not do."""
    page = set(re.findall(r"`(CELLBURST_[A-Z_]+)`", (REFERENCE / "settings.md").read_text()))
    text = sources(*PACKAGES)
    assert {name for name in page if name not in text} == set()


def test_every_route_is_documented(app: FastAPI) -> None:
    """http.md lists the control plane's routes, all of them and no others."""
    page = (REFERENCE / "http.md").read_text()
    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", page, re.MULTILINE)) == routes_of(app)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """A control plane that is put together and not started."""
    settings = Settings(data_dir=tmp_path, runtime_dir=tmp_path)
    store = Store.open(settings.store_url, SystemClock(), tmp_path)
    arena = ArenaRoot(path=tmp_path / "arena", kind="files")
    yield create_plane(settings, store, arena, control_url="http://localhost", leave=lambda: None).app
    store.close()


def routes_of(app: FastAPI) -> set[str]:
    """Return `METHOD /path` of every route; OpenAPI knows no websockets, so those are read from the source."""
    found = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    for path in (ROOT / "remote_runtime" / "api" / "routes").glob("*.py"):
        text = path.read_text()
        prefix = "".join(re.findall(r'APIRouter\(prefix="([^"]+)"', text)[:1])
        found |= {f"WEBSOCKET {prefix}{rest}" for rest in re.findall(r'\.websocket\("([^"]*)"', text)}
    return found


def test_every_command_is_documented() -> None:
    """Each verb of the command line has its row in cli.md."""
    page = (REFERENCE / "cli.md").read_text()
    modules = {path.stem: path.read_text() for path in (ROOT / "kernel_bridge" / "cli").glob("*.py")}
    commands = {
        f"cellburst {noun} {verb}"
        for text in modules.values()
        for noun in re.findall(r'add_noun\(nouns, "(\w+)"', text)
        for verb in re.findall(r'add_command\(\w+, "(\w+)"', text)
    }
    assert len(commands) > 10
    assert {command for command in commands if f"`{command}`" not in page} == set()


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_error_is_documented(code: str) -> None:
    """Each error code has its row in errors.md."""
    assert f"`{code}`" in (REFERENCE / "errors.md").read_text()


def test_every_option_of_the_magics_is_documented() -> None:
    """Each option of `%%gpu` stands in magics.md."""
    page = (REFERENCE / "magics.md").read_text()
    options = set(re.findall(r'"(--[a-z][a-z-]+)"', sources("jupyter_ext")))
    assert options
    assert {option for option in options if f"`{option}" not in page} == set()


def test_every_magic_and_default_is_documented() -> None:
    """Each magic and each name `%gpu_config` takes stands in magics.md."""
    page = (REFERENCE / "magics.md").read_text()
    magics = {f"%{name}" for name in vars(GpuMagics) if name.startswith("gpu")}
    assert {name for name in magics if f"`{name}" not in page and f"`%{name}" not in page} == set()
    assert {key for key in KEYS if f"`{key}`" not in page} == set()


def test_links_between_the_pages_lead_somewhere() -> None:
    """Every relative link in README and docs names a file that is there."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
