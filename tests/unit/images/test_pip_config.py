"""The host's package settings, as a uv process gets them."""

from __future__ import annotations

from pathlib import Path

from remote_runtime.images.pip_config import IndexOptions, PipOptions, config_files, read_pip_options, redact


def test_files_and_variables_are_merged_and_variables_win(tmp_path: Path) -> None:
    """pip's own order: a file, then a stronger file, then PIP_*."""
    (tmp_path / "a.conf").write_text("[global]\nindex-url = https://a.example/simple\ncert = /a.pem\n")
    (tmp_path / "b.conf").write_text(
        "[global]\nextra-index-url =\n  https://b.example/simple\n  https://c.example/simple\n"
    )
    files = [tmp_path / "a.conf", tmp_path / "b.conf", tmp_path / "absent.conf"]
    options = read_pip_options({"PIP_INDEX_URL": "https://env.example/simple", "PATH": "/bin"}, files)
    environment = options.environment()
    assert environment["UV_DEFAULT_INDEX"] == "https://env.example/simple"
    assert environment["UV_INDEX"] == "https://b.example/simple https://c.example/simple"
    assert environment["SSL_CERT_FILE"] == "/a.pem"
    assert environment["PATH"] == "/bin"


def test_local_places_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    """uv stops at a find-links folder that does not exist; pip does not."""
    (tmp_path / "index").mkdir()
    env = {
        "PIP_EXTRA_INDEX_URL": f"file://{tmp_path}/index file://{tmp_path}/gone",
        "PIP_FIND_LINKS": f"{tmp_path} /gone",
    }
    environment = read_pip_options(env, []).environment()
    assert environment["UV_INDEX"] == f"file://{tmp_path}/index"
    assert environment["UV_FIND_LINKS"] == str(tmp_path)


def test_a_build_sees_no_other_variables_of_the_host() -> None:
    """Packages that are built run code: it must not find the host's keys, nor a Python that is not its own."""
    env = {
        "API_KEY": "x",
        "PYTHONPATH": "/x",
        "PYTHONDONTWRITEBYTECODE": "1",
        "VIRTUAL_ENV": "/x",
        "UV_PYTHON": "3.9",
        "HOME": "/h",
    }
    environment = read_pip_options(env, []).environment()
    assert set(environment) == {"HOME", "UV_INDEX_STRATEGY", "NO_COLOR", "UV_NO_PROGRESS"}


def test_uv_variables_count_too() -> None:
    """A uv user's indexes come before pip's; other settings of uv are passed on."""
    env = {"UV_INDEX": "https://uv.example", "PIP_EXTRA_INDEX_URL": "https://pip.example", "UV_HTTP_TIMEOUT": "9"}
    environment = read_pip_options(env, []).environment()
    assert environment["UV_INDEX"] == "https://uv.example https://pip.example"
    assert environment["UV_HTTP_TIMEOUT"] == "9"


def test_a_step_adds_its_own_indexes() -> None:
    """Its main index replaces the host's, the others are added."""
    host = PipOptions(IndexOptions(index_url="https://host.example", find_links=("https://links.example",)))
    environment = host.environment(IndexOptions(index_url="https://step.example", pre=True))
    assert environment["UV_DEFAULT_INDEX"] == "https://step.example"
    assert environment["UV_FIND_LINKS"] == "https://links.example"
    assert environment["UV_PRERELEASE"] == "allow"


def test_credentials_are_struck_out() -> None:
    """Neither a log line nor a repr shows them."""
    assert redact("from https://me:hidden@example.org/simple got") == "from https://****@example.org/simple got"
    options = read_pip_options({"PIP_INDEX_URL": "https://me:hidden@example.org", "UV_INDEX_X_PASSWORD": "hidden"}, [])
    assert "hidden" not in repr(options)


def test_a_wheel_with_a_local_label_is_found(tmp_path: Path) -> None:
    """Names compare as indexes compare them."""
    (tmp_path / "Some_Pack-2.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    options = read_pip_options({"PIP_FIND_LINKS": str(tmp_path)}, [])
    assert options.has_wheel("some.pack", "2.0+cpu")
    assert not options.has_wheel("some.pack", "2.0+cu128")
    assert not options.has_wheel("pack", "2.0+cpu")


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    """The settings of the other files still count."""
    (tmp_path / "broken.conf").write_text("no section here")
    (tmp_path / "good.conf").write_text("[install]\nno-index = true\n")
    assert read_pip_options({}, [tmp_path / "broken.conf", tmp_path / "good.conf"]).index.no_index


def test_where_pip_looks() -> None:
    """The strongest file is last, and the null device means none at all."""
    files = config_files({"HOME": "/home/me", "PIP_CONFIG_FILE": "/mine.conf"}, prefix="/venv")
    assert files[-2:] == [Path("/venv/pip.conf"), Path("/mine.conf")]
    assert Path("/home/me/.config/pip/pip.conf") in files
    assert config_files({"PIP_CONFIG_FILE": "/dev/null"}) == []
