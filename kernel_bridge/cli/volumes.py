"""`cellburst volume ls|create|delete|rename|info|quota|commit|log`, and the verbs of files."""

from __future__ import annotations

import argparse

from kernel_bridge.cli import volume_files
from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect, show, time_text
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.replies import FileEntry, VolumeInfo
from kernel_bridge.protocol.money import format_usd
from kernel_bridge.protocol.resources import parse_size, show_size


def add_commands(nouns: Nouns) -> None:
    """Add `volume` and its verbs."""
    verbs = add_noun(nouns, "volume", "directories that outlive containers")
    listing = add_command(verbs, "ls", _list, "list the volumes, or what is in one")
    listing.add_argument("name", metavar="NAME[@VERSION]", nargs="?")
    listing.add_argument("path", metavar="PATH", nargs="?", default="")
    listing.add_argument("-r", "--recursive", action="store_true", help="everything below it")
    add_json(listing)
    add_command(verbs, "create", _create, "create a volume").add_argument("name", metavar="NAME")
    add_command(verbs, "delete", _delete, "delete a volume, its versions and all its files").add_argument(
        "name", metavar="NAME"
    )
    rename = add_command(verbs, "rename", _rename, "give a volume another name")
    rename.add_argument("name", metavar="OLD")
    rename.add_argument("new_name", metavar="NEW")
    info = add_command(verbs, "info", _info, "show a volume's size, growth, quota and cost")
    info.add_argument("name", metavar="NAME")
    add_json(info)
    quota = add_command(verbs, "quota", _quota, "limit how much disk a volume and its versions may take")
    quota.add_argument("name", metavar="NAME")
    quota.add_argument("size", metavar="SIZE", help="for example 50G; none for no limit")
    commit = add_command(verbs, "commit", _commit, "keep what a volume holds now as a version")
    commit.add_argument("name", metavar="NAME")
    commit.add_argument("-m", "--message", default="", help="what to say of it in the log")
    log = add_command(verbs, "log", _log, "list a volume's versions, newest first")
    log.add_argument("name", metavar="NAME")
    add_json(log)
    volume_files.add_commands(verbs)


def _list(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        if arguments.name:
            _list_files(plane, arguments)
            return
        found = plane.volume_routes.list()
    rows = [("NAME", "SIZE", "CREATED"), *((v.name, show_size(v.size_bytes), time_text(v.created_at_s)) for v in found)]
    show(found, as_json=arguments.json, rows=rows, empty="no volumes; make one with `cellburst volume create NAME`")


def _list_files(plane: ControlPlane, arguments: argparse.Namespace) -> None:
    name, version = volume_files.named(arguments.name)
    found = plane.volume_routes.files(name, arguments.path, recursive=arguments.recursive, version=version)
    rows = [("PATH", "SIZE", "MODIFIED"), *map(_file_row, found)]
    show(found, as_json=arguments.json, rows=rows, empty="nothing is in it")


def _file_row(entry: FileEntry) -> tuple[str, str, str]:
    path = entry.path + ("/" if entry.kind == "directory" else "")
    return path, show_size(entry.size_bytes) if entry.kind == "file" else entry.kind, time_text(entry.modified_at_s)


def _create(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.volume_routes.create(arguments.name)
    print(f"{arguments.name} is there")


def _delete(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.volume_routes.delete(arguments.name)
    print(f"{arguments.name} is deleted")


def _rename(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.volume_routes.rename(arguments.name, arguments.new_name)
    print(f"{arguments.name} is {arguments.new_name} now")


def _info(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        found = plane.volume_routes.get(arguments.name)
    show(found, as_json=arguments.json, rows=[("", ""), *_told(found)], empty="")


def _told(found: VolumeInfo) -> list[tuple[str, str]]:
    taken_bytes = found.disk_bytes + found.history_bytes
    quota = f"{show_size(taken_bytes)} of {show_size(found.quota_bytes)}" if found.quota_bytes else "none"
    growth = f"{'+' if found.growth_week_bytes >= 0 else '-'}{show_size(abs(found.growth_week_bytes))}"
    return [
        ("files", str(found.files)),
        ("size", show_size(found.size_bytes)),
        ("on disk", f"{show_size(found.disk_bytes)}, and {show_size(found.history_bytes)} for its versions"),
        ("growth a week", growth),
        ("quota", quota),
        ("free disk", show_size(found.free_bytes)),
        ("cost a month", format_usd(found.cost_month_microusd)),
    ]


def _quota(arguments: argparse.Namespace) -> None:
    quota_bytes = 0 if arguments.size == "none" else parse_size(arguments.size)
    with connect() as plane:
        plane.volume_routes.set_quota(arguments.name, quota_bytes)
    print(f"{arguments.name} may take {show_size(quota_bytes) if quota_bytes else 'what there is'}")


def _commit(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        made = plane.volume_routes.commit(arguments.name, arguments.message)
    skipped = f"; {made.skipped} pipes, sockets or devices left out" if made.skipped else ""
    print(
        f"{arguments.name}@{made.version}: {volume_files.count_text(made.files)}, {show_size(made.size_bytes)}{skipped}"
    )


def _log(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        found = plane.volume_routes.log(arguments.name)
    lines = (
        (
            str(v.version),
            time_text(v.created_at_s),
            str(v.files),
            show_size(v.size_bytes),
            show_size(v.new_bytes),
            v.message,
        )
        for v in found
    )
    rows = [("VERSION", "COMMITTED", "FILES", "SIZE", "NEW ON DISK", "MESSAGE"), *lines]
    show(found, as_json=arguments.json, rows=rows, empty="no versions; `cellburst volume commit NAME` makes one")
