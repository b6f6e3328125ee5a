"""Images whose Dockerfiles are written down in this folder, one function each."""

from __future__ import annotations

from pathlib import Path

from kernel_bridge.sdk.image import Image
from kernel_bridge.sdk.secret import Secret

WEIGHTS = "small"


def _fetch(name: str, times: int = 1) -> None:
    import json  # noqa: F401 - as functions for images do

    print(name * times, WEIGHTS)


def packages(folder: Path) -> Image:
    """Installs with their options, in their order."""
    del folder
    index = "https://example.org/simple"
    return (
        Image.debian_slim("3.11")
        .pip_install("numpy>=2", "scipy; python_version > '3.8'")
        .uv_pip_install("torch", index_url="https://example.org/cpu", pre=True)
        .uv_pip_install("six")
        .pip_install("mine", extra_index_url=index, find_links="/wheels")
    )


def system(folder: Path) -> Image:
    """Debian packages and commands, in every form a line can need."""
    del folder
    return (
        Image.debian_slim("3.12")
        .apt_install("git", "ffmpeg=7:5.1*")
        .run_commands(
            "echo one", "cat <<EOF\ntwo\nEOF", "[ -d / ]", "--odd", "echo '#' three \\", secrets=[Secret("hf")]
        )
        .run_function(_fetch, args=["a$b"], kwargs={"times": 2})
        .entrypoint(["/bin/init", "-x"])
    )


def settings(folder: Path) -> Image:
    """Variables and directories whose values would mean something to a Dockerfile."""
    del folder
    hard = {"A": "$HOME `x` \"y\" 'z' \\n", "B": "", "C": "a=b # c"}
    return Image.debian_slim("3.11").env(hard).workdir("/with space/$x").entrypoint([])


def files(folder: Path) -> Image:
    """Copied where they stand, mounted ones at the end."""
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("a\n")
    (folder / "sub/b.txt").write_text("b\n")
    return (
        Image.debian_slim("3.11")
        .add_local_file(folder / "a.txt", "/data/", copy=True)
        .add_local_dir(folder, "/all of $it", copy=True)
        .run_commands("ls /data")
        .add_local_file(folder / "a.txt", "/late.txt")
    )


def registry(folder: Path) -> Image:
    """An image of others, with lines of a Dockerfile and a Python."""
    del folder
    return (
        Image.from_registry("ghcr.io/org/name:1.2", setup_dockerfile_commands=["USER root"], add_python="3.11")
        .pip_install("six")
        .dockerfile_commands("RUN true", ["LABEL a=b"])
    )


def registry_with_python(folder: Path) -> Image:
    """Its own Python, which its distribution manages."""
    del folder
    return Image.from_registry("ubuntu:24.04").pip_install("six").uv_pip_install("idna")


def dockerfile(folder: Path) -> Image:
    """A person's own text comes first, whole."""
    (folder / "Dockerfile").write_text("FROM alpine AS one\nRUN true\n\nFROM debian\nCOPY --from=one /a /a\n")
    return Image.from_dockerfile(folder / "Dockerfile", build_args={"V": "1"}).run_commands("ls")


def conda(folder: Path) -> Image:
    """The environment `base`, its programs first in PATH."""
    del folder
    return (
        Image.micromamba("3.11")
        .micromamba_install("pytorch=2.4", channels=["pytorch", "conda-forge"])
        .pip_install("six")
    )
