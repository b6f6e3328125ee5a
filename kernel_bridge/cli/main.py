"""`cellburst`: the command line. Exit codes: 0 done, 1 it failed, 2 it was asked wrongly."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from kernel_bridge.cli import images, logs, runtime, secrets, tokens, volumes
from kernel_bridge.client.embedded import release
from kernel_bridge.errors import BadRequest, CellburstError

FAILED = 1
ASKED_WRONGLY = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except BadRequest as error:
        return _fail(str(error), ASKED_WRONGLY)
    except CellburstError as error:
        return _fail(str(error), FAILED)
    except BrokenPipeError:  # `cellburst volume ls | head`: nobody reads on, and nothing can be said to them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _fail(f"{error.filename or 'The system'}: {error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


def _fail(line: str, code: int) -> int:
    print(f"cellburst: {line}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cellburst", description="Run notebook cells on a GPU host as if they had run here."
    )
    parser.add_argument("--version", action="version", version=f"cellburst {release()}")
    nouns = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (runtime, images, volumes, secrets, tokens, logs):
        module.add_commands(nouns)
    return parser


if __name__ == "__main__":
    sys.exit(main())
