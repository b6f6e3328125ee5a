"""`cellburst image ls|inspect|logs|rm|prune|export`."""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect, show, time_text
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.replies import ImageInfo
from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.resources import show_size
from kernel_bridge.sdk.image_show import as_calls

_SHOWN_DIGITS = 12


def add_commands(nouns: Nouns) -> None:
    """Add `image` and its verbs."""
    verbs = add_noun(nouns, "image", "what containers start from")
    add_json(add_command(verbs, "ls", _list, "list the images that were asked for, with size and last use"))
    inspect = add_command(verbs, "inspect", _inspect, "show what an image is made of and how it stands")
    add_json(inspect)
    remove = add_command(verbs, "rm", _remove, "forget an image; what it shares with others stays")
    logs = add_command(verbs, "logs", _logs, "show the log of an image's build")
    export = add_command(verbs, "export", _export, "write what works without us")
    forms = export.add_mutually_exclusive_group(required=True)
    forms.add_argument("--dockerfile", action="store_true", help="a folder for `docker build`")
    forms.add_argument("--lock", action="store_true", help="the packages that are installed in it, as requirements")
    export.add_argument("-o", "--output", metavar="PATH", type=Path, help="write here; else a lock goes to stdout")
    for parser in (inspect, remove, logs, export):
        parser.add_argument("name", metavar="NAME", help="the first digits of its digest, or its label")
    add_command(
        verbs, "prune", _prune, "remove layers of the container engine that no image is made of (wants an admin)"
    )


def _list(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        found = plane.image_routes.images()
    heading = ("DIGEST", "STATE", "SIZE", "USED", "IMAGE")
    empty = "no images; a cell with `%%gpu --image` has one built"
    show(found, as_json=arguments.json, rows=[heading, *map(_row, found)], empty=empty)


def _row(image: ImageInfo) -> tuple[str, ...]:
    size = show_size(image.size_bytes) if image.size_bytes else "-"
    return image.digest[:_SHOWN_DIGITS], image.state, size, time_text(image.used_at_s), image.label


def _inspect(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        image = _find(plane, arguments.name)
        recipe = plane.image_routes.recipe(image.digest)
    told = {
        "digest": image.digest,
        "recipe": as_calls(recipe),
        "state": image.state,
        "python": image.python or "of the image",
        "built in": f"{image.seconds:.1f} s",
        "size": show_size(image.size_bytes) if image.size_bytes else "-",
        "used": time_text(image.used_at_s),
        "container engine": image.image or "none needed",
        "why": image.detail,
    }
    rows = [("", ""), *((name, value) for name, value in told.items() if value)]
    show({"image": image, "recipe": recipe}, as_json=arguments.json, rows=rows, empty="")


def _logs(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        print(plane.image_routes.log(_find(plane, arguments.name).digest), end="")


def _remove(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        image = _find(plane, arguments.name)
        plane.image_routes.delete(image.digest)
    print(f"{image.digest[:_SHOWN_DIGITS]} is forgotten; `cellburst image prune` and the janitor free its space")


def _prune(arguments: argparse.Namespace) -> None:
    del arguments
    with connect() as plane:
        removed = plane.image_routes.prune()
    print(f"{removed} layers removed; `cellburst runtime prune` removes packages and files")


def _export(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        image = _find(plane, arguments.name)
        if arguments.dockerfile:
            _write_folder(
                arguments.output or Path(image.digest[:_SHOWN_DIGITS]), plane.image_routes.context(image.digest)
            )
            return
        lock = plane.image_routes.lock(image.digest)
    if arguments.output is None:
        print(lock, end="")
    else:
        arguments.output.write_text(lock)
        print(arguments.output)


def _write_folder(folder: Path, packed: bytes) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already: write `--output` with a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    print(f"{folder}: `docker build {folder}`")


def _find(plane: ControlPlane, name: str) -> ImageInfo:
    images = plane.image_routes.images()
    found = [image for image in images if image.digest.startswith(name.lower()) or image.label == name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no image {name!r}: `cellburst image ls` lists them.")
    raise Conflict(f"{name!r} names {len(found)} images: write more digits of its digest.")
