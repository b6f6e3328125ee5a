"""`python -m remote_runtime serve`: run a control plane."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from pathlib import Path

from kernel_bridge.errors import CellburstError
from remote_runtime import logs
from remote_runtime.server import serve
from remote_runtime.settings import Settings, parse_providers


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve; return the exit status."""
    options = _parser().parse_args(arguments)
    # Until the server listens to signals, and again after: what was begun is cleared up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = _settings(options)
        logs.set_up(settings)
        serve(settings, sys.stdout)
    except KeyboardInterrupt:
        return 0
    except CellburstError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    """The command line goes before the environment."""
    chosen = {name: value for name in ("socket", "host", "port") if (value := getattr(options, name)) is not None}
    if options.host is not None:
        chosen.setdefault("port", 0)
    if options.socket is not None:
        chosen["port"] = None
    if options.provider is not None:
        chosen["providers"] = parse_providers("--provider", options.provider)
    return dataclasses.replace(Settings.from_env(os.environ), embedded=options.embedded, **chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m remote_runtime", description="The control plane of Cellburst.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("serve", help="run until told to end")
    command.add_argument("--embedded", action="store_true", help="for one notebook user: leave when nothing is left")
    address = command.add_mutually_exclusive_group()
    address.add_argument("--socket", type=_absolute, help="listen on a unix socket at this path")
    address.add_argument("--host", help="listen on TCP at this address")
    command.add_argument("--port", type=int, help="listen on TCP at this port; 0: any that is free")
    command.add_argument("--provider", help="where containers come from: process, docker, or process,docker")
    return parser


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


if __name__ == "__main__":
    sys.exit(main())
