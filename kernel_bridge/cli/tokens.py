"""`cellburst token create|ls|revoke`."""

from __future__ import annotations

import argparse
import json
import sys

from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect, show, time_text
from kernel_bridge.protocol.resources import parse_duration
from kernel_bridge.protocol.scopes import OWNER, SCOPES
from kernel_bridge.protocol.wire import to_wire


def add_commands(nouns: Nouns) -> None:
    """Add `token` and its verbs."""
    verbs = add_noun(nouns, "token", "what lets a notebook use this runtime")
    create = add_command(verbs, "create", _create, "create a token; it is shown this once")
    create.add_argument("name", metavar="NAME", nargs="?", default="", help="what it is for; unlike your others'")
    create.add_argument(
        "--scope",
        choices=SCOPES,
        default=OWNER,
        help="read: look; run: cells, images and volumes too; owner: all that is yours; admin: everything of everyone",
    )
    create.add_argument("--owner", metavar="NAME", default="", help="who it is for, if not for you (wants an admin's)")
    create.add_argument("--expires", metavar="30d", help="how long it is good; without it, until it is revoked")
    add_json(create)
    listed = add_command(verbs, "ls", _list, "list tokens, without what they are")
    listed.add_argument("--all", action="store_true", help="those of every owner (wants an admin's)")
    add_json(listed)
    revoke = add_command(verbs, "revoke", _revoke, "make a token worthless, at once")
    revoke.add_argument("id", metavar="ID", help="from `cellburst token ls`")


def _create(arguments: argparse.Namespace) -> None:
    expires_in_s = parse_duration(arguments.expires) if arguments.expires else None
    with connect() as plane:
        token, text = plane.create_token(
            arguments.name, expires_in_s=expires_in_s, scope=arguments.scope, owner=arguments.owner
        )
    if arguments.json:
        print(json.dumps({**to_wire(token), "token": text}, indent=2))
        return
    print(text)
    # On stderr, so that `TOKEN=$(cellburst token create)` holds the token alone.
    print(f"{token.id}: keep it now, it is not shown again.", file=sys.stderr)


def _list(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        found = plane.tokens(owner="*" if arguments.all else "")
    rows = [
        ("ID", "NAME", "OWNER", "SCOPE", "CREATED", "EXPIRES", "LAST USED"),
        *(
            (
                token.id,
                token.name,
                token.owner,
                token.scope,
                time_text(token.created_at_s),
                time_text(token.expires_at_s),
                time_text(token.last_used_at_s),
            )
            for token in found
        ),
    ]
    show(found, as_json=arguments.json, rows=rows, empty="no tokens")


def _revoke(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.revoke_token(arguments.id)
    print(f"{arguments.id} is revoked")
