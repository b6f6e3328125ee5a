"""Where things are for this user."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kernel_bridge.config import Address, ClientConfig, check_url, write_private
from kernel_bridge.errors import BadOption, RuntimeUnreachable
from kernel_bridge.protocol.version import STORE_SCHEMA

KEY = f"v{STORE_SCHEMA}"


def env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(tmp_path / "c"),
        "XDG_DATA_HOME": str(tmp_path / "d"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        **more,
    }


def test_directories_follow_xdg_and_are_keyed_by_schema(tmp_path: Path) -> None:
    """Two releases with different stores do not meet."""
    config = ClientConfig.load(env(tmp_path))
    assert config.data_dir == tmp_path / "d" / "cellburst" / KEY
    assert config.runtime_dir == tmp_path / "cellburst" / KEY
    assert config.config_dir == tmp_path / "c" / "cellburst"
    assert config.connected is None


def test_directories_can_be_named(tmp_path: Path) -> None:
    """A directory given by hand is taken as it is."""
    config = ClientConfig.load(env(tmp_path, CELLBURST_DATA_DIR="/x/data", CELLBURST_RUNTIME_DIR="/x/run"))
    assert (config.data_dir, config.socket_path) == (Path("/x/data"), Path("/x/run/runtime.sock"))


def test_without_a_session_directory_a_private_one_is_used(tmp_path: Path) -> None:
    """A folder somebody else could write to is refused: they could answer in the runtime's name."""
    given = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    config = ClientConfig.load(given)
    assert config.runtime_dir == tmp_path / f"cellburst-{os.getuid()}-{KEY}"
    config.runtime_dir.mkdir(parents=True, mode=0o700)  # as whoever needs it makes it
    assert ClientConfig.load(given).runtime_dir == config.runtime_dir
    config.runtime_dir.chmod(0o777)
    with pytest.raises(RuntimeUnreachable, match="not a folder of yours alone"):
        ClientConfig.load(given)


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    """The kernel's own error would say less."""
    with pytest.raises(BadOption, match="too long for a socket"):
        ClientConfig.load(env(tmp_path, CELLBURST_RUNTIME_DIR="/" + "x" * 120))


def test_a_connection_is_remembered_and_forgotten(tmp_path: Path) -> None:
    """It lies in a file only its owner can read; the token is never shown."""
    config = ClientConfig.load(env(tmp_path))
    config.save_connection("https://gpu:8443/", "cb_secret")
    again = ClientConfig.load(env(tmp_path))
    assert again.connected == Address("https://gpu:8443", "cb_secret")
    assert "cb_secret" not in repr(again) + repr(again.connected) + str(again.connected)
    assert stat.S_IMODE((config.config_dir / "connection.json").stat().st_mode) == 0o600
    again.forget_connection()
    assert ClientConfig.load(env(tmp_path)).connected is None


def test_the_environment_wins_over_what_was_saved(tmp_path: Path) -> None:
    """And a saved token is not sent to another address."""
    ClientConfig.load(env(tmp_path)).save_connection("https://gpu:8443", "cb_secret")
    config = ClientConfig.load(env(tmp_path, CELLBURST_URL="http://other:1"))
    assert config.connected == Address("http://other:1", "")


@pytest.mark.parametrize("url", ["gpu-host", "ftp://x", "https://user:pw@x", "https://x?token=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """Tokens do not belong into addresses."""
    with pytest.raises(BadOption):
        check_url(url)


def test_an_unreadable_connection_is_said(tmp_path: Path) -> None:
    """With the file's name and what to do."""
    config = ClientConfig.load(env(tmp_path))
    write_private(config.config_dir / "connection.json", "{")
    with pytest.raises(BadOption, match=r"connection\.json cannot be read"):
        ClientConfig.load(env(tmp_path))
