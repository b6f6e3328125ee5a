"""`%pip install` and `!pip install` in a cell: the packages become one more layer of the session.

There is no pip in a container, and what it installed would be gone with it. The notebook has the layer made, as for
what is imported on demand, and the cell says how to declare the packages for good.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Final

from IPython.core.error import UsageError

from kernel_bridge.errors import BuildFailed
from kernel_bridge.protocol.messages import Message

_COMMAND: Final = re.compile(r"\s*(?:\S*python[\d.]*\s+-m\s+|uv\s+)?pip[\d.]*\s+(install\s+[^&|;`$()]+)\Z")
_WITHOUT_EFFECT: Final = re.compile(r"-[qvU]+|--(?:quiet|verbose|upgrade|user|no-cache-dir|no-input|system|pre)\Z")
_DECLARE: Final = "cellburst.Image.from_notebook().pip_install({})"

Ask = Callable[[str, dict[str, Any]], Message | None]
Link = Callable[[Sequence[str]], None]


class PipMagic:
    """Adds packages to the session whose container this is."""

    def __init__(self, ask: Ask, link: Link) -> None:
        self._ask = ask
        self._link = link

    def register(self, shell: Any) -> None:
        """Take the place of IPython's own magics, which would run a pip that is not there."""
        for name in ("pip", "uv"):
            shell.register_magic_function(self.pip, "line", name)
        for name in ("conda", "mamba", "micromamba"):
            shell.register_magic_function(_no_conda, "line", name)

    def pip(self, line: str) -> None:
        """Add packages to this session, as in `%pip install humanize`; raises BuildFailed, UsageError."""
        requirements = wanted_packages(line)
        reply = self._ask("package_request", {"requirements": requirements})
        if reply is None:
            raise BuildFailed("The notebook did not answer, so nothing was installed. Run the cell again.")
        if reply.content.get("why"):
            raise BuildFailed(str(reply.content["why"]))
        self._link(reply.content.get("layers", ()))
        declared = _DECLARE.format(", ".join(repr(item) for item in requirements))
        print(f"Added {', '.join(requirements)} to this session. To have it in every session: {declared}")  # noqa: T201


def as_pip_line(command: str) -> str | None:
    """Return the magic's line for a shell command such as `pip install humanize`; None for another command."""
    found = _COMMAND.match(command)
    return found[1] if found else None


def wanted_packages(line: str) -> list[str]:
    """Return the packages that a line such as `install -q humanize` names; raises UsageError."""
    words = shlex.split(line, comments=True)
    words = words[1:] if words[:1] == ["pip"] else words
    if words[:1] != ["install"]:
        raise UsageError("In a `%%gpu` cell `%pip` knows only `%pip install PACKAGE ...`.")
    options = [word for word in words[1:] if word.startswith("-") and not _WITHOUT_EFFECT.match(word)]
    if options:
        declared = _DECLARE.format("...")
        raise UsageError(f"`%pip install {options[0]}` does not work in a `%%gpu` cell: declare it with `{declared}`.")
    packages = [word for word in words[1:] if not word.startswith("-")]
    if not packages:
        raise UsageError("Name at least one package: `%pip install humanize`.")
    return packages


def _no_conda(line: str) -> None:
    raise UsageError(f"There is no conda in a container: try `%pip {line}`.")
