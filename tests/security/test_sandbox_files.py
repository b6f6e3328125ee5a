"""Paths, links, volumes and odd files: a cell reaches what its session was given, and nobody follows it further."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import pytest

from tests.security.intruders import Failed, Intruder

pytestmark = pytest.mark.timeout(180)

OWN: Final = """
own = [line.split()[4] for line in open("/proc/self/mountinfo")]
result = next(path for path in own if path.endswith("/state"))[: -len("/state")]
"""
# Entries that lead out, that block, that are larger than any disk, and what only an administrator can make.
ODD: Final = """
import os
os.makedirs(PLACE, exist_ok=True)
os.chdir(PLACE)
with open("plain", "w") as file:
    file.write("mine")
for name, target in {"shadow": "/etc/shadow", "store": STORE, "up": "../../../../../../../..", "loop": "loop"}.items():
    os.symlink(target, name)
os.mkfifo("pipe")
with open("sparse", "wb") as file:
    file.truncate(1 << 40)
outcomes = [attempt(os.mknod, f"device{kind}", kind | 0o666, os.makedev(1, 1)) for kind in (0o60000, 0o20000)]
outcomes.append(attempt(os.link, "/usr/bin/env", "env"))
os.chdir(os.path.dirname(PLACE))
result = outcomes
"""
READ_ONLY: Final = """
import os
flags = os.O_RDWR | os.O_NONBLOCK
descriptor = os.open("/v/kept", os.O_RDONLY)
result = [
    attempt(os.open, "/v/kept", flags),
    attempt(os.open, f"/proc/self/fd/{descriptor}", flags),
    attempt(os.open, "/v/new", flags | os.O_CREAT),
    attempt(os.truncate, "/v/kept", 0), attempt(os.unlink, "/v/kept"), attempt(os.rename, "/v/kept", "/v/x"),
    attempt(os.chmod, "/v/kept", 0o777), attempt(os.utime, "/v/kept", (0, 0)), attempt(os.link, "/v/kept", "/v/y"),
    attempt(os.setxattr, "/v/kept", "user.x", b"1"), attempt(os.mkdir, "/v/d"), attempt(os.symlink, "x", "/v/s"),
]
"""
SETUID: Final = """
import os, shutil
def create(mode):
    return attempt(os.close, os.open(f"made{mode}", os.O_CREAT | os.O_WRONLY, mode))
result = []
for folder in (os.getcwd(), "/v"):
    shutil.copy("/usr/bin/id", folder + "/id")
    descriptor = os.open(folder + "/id", os.O_RDONLY)
    result += [attempt(os.chmod, folder + "/id", mode) for mode in (0o4755, 0o2755, 0o6755)]
    result += [attempt(os.fchmod, descriptor, 0o4755), call(452, -100, (folder + "/id").encode(), 0o4755, 0)]
    result += [attempt(os.open, f"{folder}/made", os.O_CREAT | os.O_WRONLY, 0o4755)]
    result += [attempt(os.open, folder, os.O_TMPFILE | os.O_WRONLY, 0o4755)]
    result += [attempt(os.mknod, f"{folder}/made", 0o104755)]
    result += [call(437, -100, (folder + "/made").encode(), bytes(24), 24)]
    os.close(descriptor)
"""
FETCH: Final = "[b''.join(chunks).decode() for _, chunks in [opened.enter_context(plane.get_file(%r, %r))]][0]"
SYSTEMS_SETUID: Final = """
import glob, os, shutil, stat, subprocess
paths = [path for folder in ("bin", "sbin", "lib/openssh") for path in glob.glob(f"/usr/{folder}/*")]
found = [path for path in paths if os.path.exists(path) and os.stat(path).st_mode & 0o6000 and not os.path.islink(path)]
result = {path: str(int(not os.statvfs(path).f_flag & os.ST_NOSUID)) for path in found}
for program in (["su", "-c", "true"], ["sudo", "-n", "true"]):
    if shutil.which(program[0]):
        ended = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True)
        result[program[0]] = str(int(ended.returncode == 0))
"""
NOBODY: Final = ("ENOENT", "EACCES", "EPERM", "ENOTDIR", "ENXIO")


@pytest.fixture(scope="module")
def volume(intruder: Intruder) -> str:
    """A volume, which sessions mount at /v."""
    return str(intruder.plane("plane.create_volume('shared').name"))


def test_of_the_runtimes_files_only_the_sessions_own_can_be_read(intruder: Intruder) -> None:
    """Not the store, a key, a token, a socket, a log, or another session's file, by its path on the host."""
    (intruder.folder / "home" / ".ssh").mkdir(exist_ok=True)
    (intruder.folder / "home" / ".ssh" / "id_rsa").write_text("the user's own")
    intruder.cell("import os\nopen('private', 'w').write('the victim')\nresult = 1", session="victim")
    own = Path(intruder.cell(OWN))
    (intruder.folder / "notebook" / "private").unlink(
        missing_ok=True
    )  # what the notebook has, cells are given on demand
    files = [
        str(Path(top, name)) for top, _, names in os.walk(intruder.folder) for name in names if "/images/" not in top
    ]
    assert any(name.endswith("/private") for name in files)
    assert any(name.endswith("store.sqlite3") for name in files)
    outcomes = intruder.cell(f"result = {{name: read(name) for name in {files!r}}}")
    reached = {name for name, said in outcomes.items() if said not in NOBODY and "/data/payload/" not in name}
    shared = ("work", "modules", "run", "state")
    assert {name for name in reached if not any(Path(name).is_relative_to(own / part) for part in shared)} == set()
    written = intruder.cell(f"result = {{name: write(name) for name in {sorted(set(files) - reached)!r}}}")
    assert set(written.values()) <= {*NOBODY, "EROFS"}  # the programs that are ours can be read, and by nobody written
    assert intruder.works("victim")


def test_odd_files_in_the_working_directory_stay_there(intruder: Intruder) -> None:
    """Nothing is followed, nothing blocks and nothing fills the notebook's disk when what a cell wrote comes home."""
    store = str(intruder.folder / "data" / "store.sqlite3")
    outcomes = intruder.cell(f"import os\nPLACE, STORE = os.getcwd() + '/odd', {store!r}\n{ODD}", session="odd")
    assert set(outcomes) <= {"EPERM", "EXDEV", "EACCES"}
    home = intruder.folder / "notebook" / "odd"
    assert sorted(path.name for path in home.iterdir()) == ["plain"]
    assert intruder.works("odd")


def test_what_a_cell_leaves_in_a_volume_is_not_followed(intruder: Intruder, volume: str) -> None:
    """The volume is listed and read through the control plane, which may be root and sees the whole host."""
    store = str(intruder.folder / "data" / "store.sqlite3")
    intruder.cell(f"PLACE, STORE = '/v/odd', {store!r}\n{ODD}", session="writer", options=f"--volume {volume}:/v")
    listed = intruder.plane(f"[entry.path for entry in plane.volume_files('{volume}', 'odd', recursive=True)]")
    assert any(path.endswith("plain") for path in listed)
    assert not any("passwd" in path for path in listed)
    for name in ("shadow", "store", "up/etc/passwd", "loop", "pipe"):
        with pytest.raises(Failed, match=r"^(NotFound|BadRequest|Conflict)"):
            intruder.plane(FETCH % (volume, f"odd/{name}"))
    assert intruder.plane(FETCH % (volume, "odd/plain")) == "mine"
    assert intruder.works("writer")


def test_a_read_only_volume_is_that(intruder: Intruder, volume: str) -> None:
    """Neither by its path nor by a descriptor that is opened anew, though another session may write it."""
    code = "import os\nopen('/v/kept', 'w').write('kept')\nresult = 1"
    intruder.cell(code, session="writer", options=f"--volume {volume}:/v")
    outcomes = intruder.cell(READ_ONLY, session="reader", options=f"--volume {volume}:/v:ro")
    assert set(outcomes) == {"EROFS"}
    kept = intruder.cell(
        "import os\nresult = [open('/v/kept').read(), sorted(os.listdir('/v'))]",
        session="writer",
        options=f"--volume {volume}:/v",
    )
    assert kept[0] == "kept"
    assert not {"new", "x", "y", "d", "s"} & set(kept[1])


def test_no_file_can_become_setuid(intruder: Intruder, volume: str) -> None:
    """On disk it may be root's: whoever copied it would run it as root. Others cannot even get to where it lies."""
    refused = intruder.cell(SETUID, session="writer", options=f"--volume {volume}:/v")
    assert set(refused) <= {"EPERM", "ENOSYS"}
    for folder in (intruder.folder / "data" / name for name in ("sessions", "volumes")):
        modes = [Path(top, name).lstat().st_mode for top, _, names in os.walk(folder) for name in names]
        assert len(modes) > 1
        assert not any(mode & 0o6000 for mode in modes)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_setuid_programs_of_the_system_give_nothing(intruder: Intruder) -> None:
    """What would ask for a password, or not even that, is started as the cell's own user."""
    programs = intruder.cell(SYSTEMS_SETUID)
    assert set(programs.values()) <= {"0"}  # the bit counts for nothing: the mount says so, and no_new_privs


def test_links_planted_where_the_next_container_mounts_are_not_followed(intruder: Intruder, volume: str) -> None:
    """Nothing is made or shown where they point: the container that was to mount there says so and does not start."""
    aim = intruder.folder / "data" / "sessions"
    plant = f"import os\nos.symlink({str(aim)!r}, '/v/inner')\nos.mkfifo('/v/blocks')\nresult = os.readlink('/v/inner')"
    assert intruder.cell(plant, session="writer", options=f"--volume {volume}:/v") == str(aim)
    intruder.plane("plane.create_volume('second').name")
    for place in ("/v/inner", "/v/inner/deeper"):
        options = f"--session trapped --volume {volume}:/v --volume second:{place}"
        answer = intruder.ask(code="result = 1", options=options)
        assert not answer["ok"]
        assert f"nothing can be shown at {place}: Too many levels of symbolic links" in answer["error"]
    assert not (aim / "deeper").exists()
    assert not any(path.is_file() for path in aim.iterdir())
    assert intruder.works("writer")


@pytest.mark.slow
def test_a_tree_made_to_resist_is_removed_with_its_session(intruder: Intruder) -> None:
    """Deeper than a path may be long, locked, and with a link to what is not to be removed."""
    kept = intruder.folder / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    deep = f"""
import os
os.symlink({str(kept)!r}, "link")
start = os.getcwd()
for number in range(3000):
    os.mkdir("deep")
    os.chdir("deep")
os.chdir(start)
os.makedirs("locked/inside")
os.chmod("locked", 0)
result = 1
"""
    own = Path(intruder.cell(OWN, session="deep"))
    assert own.is_dir()
    intruder.cell(deep, session="deep")
    assert intruder.ask(code="%gpu_reset deep", local=True)["ok"]
    assert not own.exists()
    assert (kept / "file").read_text() == "kept"
    assert intruder.works()
