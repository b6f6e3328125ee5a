"""A password in a requirement's URL reaches the server, and nobody who looks at processes, logs or errors."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uv as uv_package

from kernel_bridge.errors import BuildFailed
from remote_runtime.images.installer import Installer
from remote_runtime.images.pip_config import IndexOptions, PipOptions, read_pip_options, redact
from remote_runtime.images.uv import Uv

PASSWORD = "p%40ssw0rd-of-the-index"
WHEEL = "tinyhidden-1.0-py3-none-any.whl"


class _Guarded(BaseHTTPRequestHandler):
    """Serves one wheel to whoever says the password."""

    wheel = b""

    def do_GET(self) -> None:  # the name the server looks for
        expected = "Basic " + base64.b64encode(b"me:p@ssw0rd-of-the-index").decode()
        good = self.headers.get("Authorization") == expected and self.path == f"/{WHEEL}"
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(self.wheel) if good else 0))
        self.end_headers()
        self.wfile.write(self.wheel if good else b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where the wheel is, without the password."""
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as wheel:
        wheel.writestr("tinyhidden.py", "VERSION = '1.0'\n")
        info = "tinyhidden-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyhidden\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"tinyhidden.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    handler = type("Handler", (_Guarded,), {"wheel": (tmp_path / WHEEL).read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    """The real uv, behind a script that writes down what `ps` would show and the rights of the files named in it."""
    program = tmp_path / "uv"
    noted = f"""printf '%s\\n' "$@" >> {tmp_path}/argv
for each in "$@"; do [ -f "$each" ] && stat -c %a "$each" >> {tmp_path}/modes; done"""
    program.write_text(f'#!/bin/sh\n{noted}\nexec {uv_package.find_uv_bin()} "$@"\n')
    program.chmod(0o755)
    variables = {**read_pip_options(os.environ).variables, "UV_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "scratch").mkdir()
    options = PipOptions(IndexOptions(no_index=True), variables)
    return Installer(Uv(str(program), tmp_path), options, tmp_path / "scratch")


def test_a_password_is_in_no_argument(installer: Installer, address: str, tmp_path: Path) -> None:
    """It goes to uv in a file that only we can read and that is gone afterwards; what uv says of it is struck."""
    said: list[str] = []
    pins = (f"tinyhidden @ http://me:{PASSWORD}@{address}/{WHEEL}",)
    asyncio.run(installer.layer(pins, sys.executable, tmp_path / "to", said.append, with_dependencies=False))
    assert (tmp_path / "to" / "tinyhidden.py").is_file()
    assert PASSWORD not in (tmp_path / "argv").read_text() + "".join(said)
    assert "600" in (tmp_path / "modes").read_text().split()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_error_does_not_repeat_the_password(installer: Installer, address: str, tmp_path: Path) -> None:
    """It names the requirement without it."""
    said: list[str] = []
    pins = (f"tinyhidden @ http://me:{PASSWORD}@{address}/missing-1.0-py3-none-any.whl",)
    with pytest.raises(BuildFailed, match="tinyhidden @ http://") as failed:
        asyncio.run(installer.layer(pins, sys.executable, tmp_path / "to", said.append, with_dependencies=False))
    assert PASSWORD not in str(failed.value) + "".join(said)


@pytest.mark.parametrize("text", ["--index-url http://me:x@host/simple", "a @ http://me:x@host/a.whl\n-r /etc/passwd"])
def test_a_requirement_is_no_option(installer: Installer, tmp_path: Path, text: str) -> None:
    """What is written into the file is one requirement."""
    with pytest.raises(BuildFailed, match="is no requirement"):
        asyncio.run(installer.layer((text,), sys.executable, tmp_path / "to", print, with_dependencies=False))


def test_a_password_with_an_at_sign_is_struck_whole() -> None:
    """Up to the last one before the host's path."""
    assert redact("http://me:pass@word@host/simple") == "http://****@host/simple"
