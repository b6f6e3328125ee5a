"""What a cell's imports need on the far side."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from jupyter_ext.packages import Needs, local_module_files, local_module_root, requirements_for
from kernel_bridge.errors import TooLarge


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path that distributions can be put into."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(
    site: Path,
    name: str,
    modules: list[str],
    *,
    requires: list[str] | None = None,
    origin: Mapping[str, object] | None = None,
) -> None:
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    needed = "".join(f"Requires-Dist: {line}\n" for line in requires or [])
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needed}\nRequires-Dist: not-this\n"
    )
    (folder / "RECORD").write_text("".join(f"{path},sha256=x,1\n" for path in modules))
    if origin is not None:
        (folder / "direct_url.json").write_text(json.dumps(origin))
    for path in modules:
        file = site / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    importlib.invalidate_caches()


def test_an_import_name_finds_its_distribution_and_all_it_depends_on() -> None:
    """`sklearn` is scikit-learn, and numpy comes with it, both at this kernel's versions."""
    needs = requirements_for(["sklearn.svm"])
    assert f"scikit-learn=={version('scikit-learn')}" in needs.requirements
    assert f"numpy=={version('numpy')}" in needs.requirements
    assert needs.local_modules == needs.unknown == ()


def test_the_standard_library_and_ourselves_need_nothing() -> None:
    """Modules that every Python has, and those the far side brings, are not asked for."""
    assert requirements_for(["os.path", "json", "__main__", "cellburst", "kernel_bridge.errors"]) == Needs()


def test_what_is_excluded_brings_nothing_along(site: Path) -> None:
    """A distribution the far side has is left out with what only it needs."""
    install(site, "outer", ["outer.py"], requires=["inner", "leaf"])
    install(site, "inner", ["inner.py"], requires=["deep"])
    install(site, "deep", ["deep.py"])
    install(site, "leaf", ["leaf.py"])
    assert requirements_for(["outer"], exclude=frozenset({"Inner"})).requirements == ("leaf==1.0", "outer==1.0")


def test_conditions_and_extras_of_dependencies_are_obeyed(site: Path) -> None:
    """A dependency for another platform stays away; an extra that is asked for brings its own."""
    install(site, "outer", ["outer.py"], requires=['leaf; sys_platform == "nowhere"', "inner[more]"])
    install(site, "inner", ["inner.py"], requires=['deep; extra == "more"', 'leaf; extra == "other"'])
    install(site, "deep", ["deep.py"])
    install(site, "leaf", ["leaf.py"])
    assert requirements_for(["outer"]).requirements == ("deep==1.0", "inner==1.0", "outer==1.0")


def test_dependencies_in_a_circle_end(site: Path) -> None:
    """Two distributions that need each other are each named once."""
    install(site, "one", ["one.py"], requires=["two"])
    install(site, "two", ["two.py"], requires=["one"])
    assert requirements_for(["one"]).requirements == ("one==1.0", "two==1.0")


def test_a_shared_namespace_gives_the_distribution_of_the_dotted_module(site: Path) -> None:
    """Only the part of a namespace that is used is needed."""
    install(site, "space-a", ["space/a/__init__.py"])
    install(site, "space-b", ["space/b.py"])
    assert requirements_for(["space.b"]).requirements == ("space-b==1.0",)
    assert requirements_for(["space"]).requirements == ("space-a==1.0", "space-b==1.0")


def test_a_module_of_the_working_directory_is_local(site: Path) -> None:
    """A file that no distribution owns travels as a file."""
    (site / "helpers_of_mine.py").write_text("")
    assert requirements_for(["helpers_of_mine"]) == Needs(local_modules=("helpers_of_mine",))
    assert local_module_root("helpers_of_mine") == site / "helpers_of_mine.py"


def test_a_local_file_hides_an_installed_package(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python would import here decides, not the name."""
    install(site, "hidden", ["hidden.py"])
    here = site / "here"
    here.mkdir()
    (here / "hidden.py").write_text("")
    monkeypatch.syspath_prepend(here)
    assert requirements_for(["hidden"]) == Needs(local_modules=("hidden",))


def test_an_editable_install_is_local_and_its_dependencies_are_not(site: Path) -> None:
    """Its files travel; what it depends on comes from an index."""
    origin = {"url": "file:///somewhere", "dir_info": {"editable": True}}
    install(site, "mine", ["mine/__init__.py"], requires=["leaf"], origin=origin)
    install(site, "leaf", ["leaf.py"])
    assert requirements_for(["mine"]) == Needs(("leaf==1.0",), ("mine",))


def test_a_package_installed_from_a_repository_is_asked_for_there(site: Path) -> None:
    """The commit is its version."""
    vcs = {"vcs": "git", "commit_id": "ab12"}
    install(site, "forked", ["forked.py"], origin={"url": "https://example.org/forked.git", "vcs_info": vcs})
    assert requirements_for(["forked"]).requirements == ("forked @ git+https://example.org/forked.git@ab12",)


def test_a_new_install_is_seen(site: Path) -> None:
    """`%pip install` in the middle of a notebook counts at once."""
    assert requirements_for(["brand_new"]) == Needs(unknown=("brand_new",))
    install(site, "brand-new", ["brand_new.py"])
    assert requirements_for(["brand_new"]).requirements == ("brand-new==1.0",)


def test_a_package_travels_as_sources_and_small_data(tmp_path: Path) -> None:
    """Caches, hidden files, large data and what looks like a credential stay."""
    package = tmp_path / "pack"
    for name in ("__init__.py", "sub/deep.py", "data.json", "__pycache__/x.py", ".env", "my_token.json", "big.bin"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name)
    (package / "large.csv").write_bytes(bytes(1 << 20))
    files = dict(local_module_files(package))
    assert sorted(files) == ["pack/__init__.py", "pack/data.json", "pack/sub/deep.py"]
    assert files["pack/data.json"] == b"data.json"
    assert local_module_files(package / "__init__.py") == [("__init__.py", b"__init__.py")]


def test_a_package_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """The limit is said, and what to do."""
    (tmp_path / "pack").mkdir()
    for number in range(5):
        (tmp_path / "pack" / f"m{number}.py").write_bytes(bytes(4 << 20))
    with pytest.raises(TooLarge, match="16 MiB"):
        local_module_files(tmp_path / "pack")
