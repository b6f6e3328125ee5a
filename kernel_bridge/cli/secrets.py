"""`cellburst secret ls|create|rm|rekey`. Values are read, sent, and never printed."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect, show, time_text
from kernel_bridge.cli.secret_files import from_dotenv, from_json
from kernel_bridge.errors import BadOption, NotFound


def add_commands(nouns: Nouns) -> None:
    """Add `secret` and its verbs."""
    verbs = add_noun(nouns, "secret", "environment variables that cells may have")
    add_json(add_command(verbs, "ls", _list, "list secrets and the names of their variables"))
    create = add_command(verbs, "create", _create, "create a secret, or replace its values")
    create.add_argument("name", metavar="NAME")
    create.add_argument("pairs", metavar="KEY=VALUE", nargs="*", help="a variable; KEY=- asks for it or reads stdin")
    create.add_argument(
        "--from-env", metavar="KEY", action="append", default=[], help="take a variable from this environment"
    )
    create.add_argument("--from-dotenv", metavar="FILE", type=Path, help="take the variables of a .env file")
    create.add_argument("--from-json", metavar="FILE", type=Path, help="take the variables of a JSON object of texts")
    remove = add_command(verbs, "rm", _remove, "delete a secret")
    remove.add_argument("name", metavar="NAME")
    add_command(verbs, "rekey", _rekey, "seal every secret with a new master key (wants an admin's token)")


def _list(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        found = plane.secrets()
    rows = [("NAME", "VARIABLES", "UPDATED"), *((s.name, ", ".join(s.keys), time_text(s.updated_at_s)) for s in found)]
    show(found, as_json=arguments.json, rows=rows, empty="no secrets; `cellburst secret create NAME KEY=-` makes one")


def _create(arguments: argparse.Namespace) -> None:
    if sum(text.endswith("=-") for text in arguments.pairs) > 1 and not sys.stdin.isatty():
        raise BadOption("Only one variable can be read from stdin: give the others with --from-env KEY.")
    values = from_dotenv(arguments.from_dotenv) if arguments.from_dotenv else {}
    values |= from_json(arguments.from_json) if arguments.from_json else {}
    values |= dict(map(_pair, arguments.pairs)) | {key: _from_env(key) for key in arguments.from_env}
    if not values:
        raise BadOption(
            "A secret wants at least one variable: `KEY=-`, `KEY=VALUE`, `--from-env KEY`, `--from-dotenv FILE` or "
            "`--from-json FILE`."
        )
    with connect() as plane:
        plane.put_secret(arguments.name, values)
    print(f"{arguments.name}: {', '.join(sorted(values))}")


def _remove(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.delete_secret(arguments.name)
    print(f"{arguments.name} is deleted")


def _rekey(_arguments: argparse.Namespace) -> None:
    with connect() as plane:
        count = plane.rekey_secrets()
    print(f"{count} secret{'' if count == 1 else 's'} sealed with a new master key; the old one opens nothing any more")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        # What was written may be the value itself, so it is not repeated.
        raise BadOption("Write `KEY=-` (asks for the value), `KEY=VALUE`, or `--from-env KEY`.")
    return key, _ask(key) if value == "-" else value


def _ask(key: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{key}: ")
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _from_env(key: str) -> str:
    if key not in os.environ:
        raise NotFound(f"There is no variable {key} in this environment.")
    return os.environ[key]
