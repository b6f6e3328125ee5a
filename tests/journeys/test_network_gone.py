"""The network between a notebook and its runtime goes away while a cell runs: the link is down, and nobody says so."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="makes network namespaces"
    ),
]

_ADDRESS = re.compile(r"http://\S+(?=;)")


@dataclass(frozen=True)
class Network:
    """Two machines and the cable between them: the runtime's, and the notebook's."""

    host: str
    laptop: str
    address: str

    def cable(self, state: str) -> None:
        """Set the laptop's end up or down."""
        _run("ip", "netns", "exec", self.laptop, "ip", "link", "set", self.laptop, state)


@pytest.fixture
def network() -> Iterator[Network]:
    """Two network namespaces, joined by a pair of interfaces named like them."""
    host, laptop, third = f"cbh{os.getpid()}", f"cbl{os.getpid()}", os.getpid() % 250
    _run("ip", "netns", "add", host)
    _run("ip", "netns", "add", laptop)
    _run("ip", "link", "add", host, "netns", host, "type", "veth", "peer", "name", laptop, "netns", laptop)
    for name, last in ((host, 1), (laptop, 2)):
        _run("ip", "-n", name, "address", "add", f"10.199.{third}.{last}/24", "dev", name)
        _run("ip", "-n", name, "link", "set", name, "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
    yield Network(host, laptop, f"10.199.{third}.1")
    for name in (host, laptop):
        _run("ip", "netns", "delete", name)


@pytest.mark.parametrize("gone_s", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_a_cell_goes_on_while_the_network_is_gone(network: Network, tmp_path: Path, gone_s: int) -> None:
    """Afterwards every line is there once, the cell ran once, its result came home, and the next cell works."""
    lines = (gone_s + 4) * 5
    with serving(network, tmp_path / "host") as env, notebook(network, tmp_path, env, lines) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        network.cable("down")
        time.sleep(gone_s)
        network.cable("up")
        heard = process.stdout.read()
    assert heard == "".join(f"{number}\n" for number in range(1, lines)) + f"home {lines - 1} 1\nnext 2\n"


@contextlib.contextmanager
def serving(network: Network, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a runtime on the host; yield what the laptop's environment needs to reach it."""
    folder.mkdir()
    env = os.environ | {f"CELLBURST_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "RUNTIME", "CONFIG")}
    inside = ["ip", "netns", "exec", network.host, sys.executable, "-m", "kernel_bridge.cli.main"]
    command = [*inside, "runtime", "serve", "--host", network.address, "--port", "0", "--simulate-gpus", "A100:1"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            [url] = _ADDRESS.findall(process.stdout.readline())
            made = subprocess.run(
                [*inside, "token", "create", "laptop"], env=env, check=True, capture_output=True, text=True
            )
            yield {"CELLBURST_URL": url, "CELLBURST_TOKEN": made.stdout.strip()}
            subprocess.run([*inside, "runtime", "stop"], env=env, check=True, capture_output=True)
            process.wait(30)
        finally:
            process.kill()


@contextlib.contextmanager
def notebook(network: Network, folder: Path, env: dict[str, str], lines: int) -> Iterator[subprocess.Popen[str]]:
    """Run a cell that prints a line every 0.2 s on the laptop, then another one."""
    cell = f"%%gpu A100 --quiet\nimport time\ntimes += 1\nfor i in range({lines}):\n"
    cell += "    print(i, flush=True)\n    time.sleep(0.2)\n"
    script = folder / "laptop.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\nshell.run_line_magic('load_ext', 'cellburst')\nshell.user_ns['times'] = 0\n"
        f"shell.run_cell({cell!r})\n"
        "print('home', shell.user_ns['i'], shell.user_ns['times'])\n"
        "shell.run_cell('%%gpu A100 --quiet\\ntimes += 1')\nprint('next', shell.user_ns['times'])\n"
    )
    own = {f"CELLBURST_{name}_DIR": str(folder / name) for name in ("DATA", "RUNTIME", "CONFIG")}
    command = ["ip", "netns", "exec", network.laptop, sys.executable, str(script)]
    with subprocess.Popen(command, env=os.environ | own | env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            process.wait(60)
        finally:
            process.kill()


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
