"""A fresh container reads 2 GB of weights from a volume (`BENCH_WEIGHTS_GB=10` takes 10): four safetensors files of
random bytes made here. *Read*: into one buffer again and again, what the volume itself takes. *Load*: `load_file` of
`safetensors.numpy`, which maps the files and copies them. *Cold*: the kernel was told to forget the files' pages;
*warm*: it has them. Starting the container is not timed. *cat*: the same files to `/dev/null`, the raw read. *No
container*: the same load in a process of this machine. *Download*: the files from a server on this machine at 1 Gbit/s,
which is what there is without a volume.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.subject.cells import Remote, close_remote, open_remote
from benchmarks.subject.runtime import data_dir, notebook_spec, plain_image, runtime
from kernel_bridge.protocol.sessions import VolumeMount

VOLUME, FILES = "benchmark-weights", 4
READ_COLD, READ_WARM = "read, cold", "read, warm"
LOAD_COLD, LOAD_WARM = "load, cold", "load, warm"
CAT_COLD, CAT_WARM = "cat, cold", "cat, warm"
LOCAL_COLD, LOCAL_WARM, DOWNLOAD = "load, no container, cold", "load, no container, warm", "download at 1 Gbit/s"
LINE_BYTES_S: Final = 125_000_000
READ: Final = (
    "import glob, os\n"
    "into = memoryview(bytearray(1 << 17))\n"
    "for f in sorted(glob.glob('{}/*.safetensors')):\n"
    "    with open(f, 'rb', buffering=0) as file:\n"
    "        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)\n"  # as `cat` does
    "        while file.readinto(into):\n"
    "            pass\n"
)
LOAD: Final = (
    "import glob, safetensors.numpy\n"
    "size = sum(a.nbytes for f in sorted(glob.glob('{}/*.safetensors'))\n"
    "           for a in safetensors.numpy.load_file(f).values())\n"
)


def measure(effort: Effort) -> Measured:
    """Measure."""
    size_bytes = int(float(os.environ.get("BENCH_WEIGHTS_GB") or 2) * 1e9)
    with runtime() as plane:
        plane.volume_routes.create(VOLUME)
        folder = data_dir() / "volumes" / VOLUME
        files = make_weights(folder, size_bytes)
        mounted = (VolumeMount(VOLUME, "/weights", read_only=True),)
        opened: list[Remote] = []

        def fresh(pages: Callable[[], None]) -> None:
            spec = replace(notebook_spec(plain_image("numpy", "safetensors")), volumes=mounted)
            opened.append(open_remote(plane, spec))
            opened[-1].run("import safetensors.numpy")
            pages()

        def end() -> None:
            while opened:
                close_remote(plane, opened.pop())

        def inside(name: str, code: str, pages: Callable[[], None]) -> Contestant:
            return Contestant(name, lambda: opened[-1].run(code), prepare=lambda: fresh(pages), rest=end)

        cold, warm = partial(forget, files), partial(cat, files)
        read, load = READ.format("/weights"), LOAD.format("/weights")
        contestants = [
            inside(READ_COLD, read, cold),
            inside(READ_WARM, read, warm),
            inside(LOAD_COLD, load, cold),
            inside(LOAD_WARM, load, warm),
            Contestant(CAT_COLD, warm, prepare=cold),
            Contestant(CAT_WARM, warm, prepare=warm),
            Contestant(LOCAL_COLD, lambda: load_here(folder), prepare=cold),
            Contestant(LOCAL_WARM, lambda: load_here(folder), prepare=warm),
        ]
        try:
            times = contest(contestants, runs=effort.times(5), warm_up=0, limit_s=150)
            times[DOWNLOAD] = [download(folder, files)]
        finally:
            end()
            plane.volume_routes.delete(VOLUME)
    return Measured(times, (f"{size_bytes / 1e9:g} GB in {FILES} files",))


def make_weights(folder: Path, size_bytes: int) -> list[Path]:
    """Write files of float32 tensors in the safetensors format; return them."""
    each = size_bytes // FILES // 4 * 4
    generator, files = np.random.default_rng(1), []
    head = json.dumps({"w": {"dtype": "F32", "shape": [each // 4], "data_offsets": [0, each]}}).encode()
    head += b" " * (-len(head) % 8)
    for number in range(FILES):
        files.append(folder / f"model-{number}.safetensors")
        with files[-1].open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for start in range(0, each, 1 << 26):
                file.write(generator.bytes(min(1 << 26, each - start)))
            file.flush()
            os.fsync(file.fileno())
    return files


def forget(files: Sequence[Path]) -> None:
    """Have the kernel drop the pages of these files, which are on the disk."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cat(files: Sequence[Path]) -> None:
    """Read the files to nowhere, as `cat` does."""
    subprocess.run([shutil.which("cat") or "cat", *files], stdout=subprocess.DEVNULL, check=True)


def load_here(folder: Path) -> None:
    """Load the files in a process of its own, without any container."""
    subprocess.run([sys.executable, "-c", LOAD.format(folder)], check=True)


def download(folder: Path, files: Sequence[Path]) -> float:
    """Fetch the files from a server that sends no faster than the line; return the seconds."""
    into = memoryview(bytearray(1 << 20))
    with served(folder) as port:
        began_s = time.perf_counter()
        for path in files:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", f"/{path.name}")
            reply = connection.getresponse()
            while reply.readinto(into):
                pass
            connection.close()
        return time.perf_counter() - began_s


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve a folder at the speed of the line; yield the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Slow, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Slow(http.server.SimpleHTTPRequestHandler):
    """Sends a file in pieces, and after each waits until the line would have carried it."""

    def copyfile(self, source, outputfile) -> None:  # type: ignore[no-untyped-def]
        began_s, sent = time.perf_counter(), 0
        while piece := source.read(1 << 18):
            outputfile.write(piece)
            sent += len(piece)
            time.sleep(max(0.0, began_s + sent / LINE_BYTES_S - time.perf_counter()))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


ROW = Row(
    title="Weights from a volume",
    measure=measure,
    reference=CAT_COLD,
    ours=(READ_COLD, READ_WARM, LOAD_COLD, LOAD_WARM),
    limits=(CAT_COLD, CAT_WARM, LOCAL_COLD, LOCAL_WARM, DOWNLOAD),
    promises=(
        Promise(what="weights from a volume, beside the raw read", contestant=READ_COLD, of=CAT_COLD, limit=1.11),
    ),
)
