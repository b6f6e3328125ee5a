"""What a container needs before modules can be imported there: package layers, and local modules as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from jupyter_ext.installed import canonical, catalogue
from jupyter_ext.notebook import python_version
from jupyter_ext.packages import local_module_files, local_module_root, requirements_for
from jupyter_ext.remote_session import RemoteSession
from kernel_bridge.codecs.hashing import digest
from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.images import NOTEBOOK
from kernel_bridge.protocol.messages import Buffer

_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Every environment has these with all they depend on: they are what makes it a kernel.
KERNEL_PACKAGES: Final = frozenset({"ipykernel", "cloudpickle", "websockets", "xxhash", "blake3"})

LocalModules = tuple[tuple[FileRef, Buffer], ...]


def provide(
    session: RemoteSession,
    modules: Iterable[str],
    *,
    on_demand: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> LocalModules:
    """Link in the packages these modules come from; return the files of local modules that the container lacks.

    An image that lists its packages gets others only `on_demand`: when an import did not find them.
    """
    tops = {module.partition(".")[0] for module in modules}
    fresh = {module for module in modules if module.partition(".")[0] not in session.provided}
    wants_packages = on_demand or session.info.spec.image.base == NOTEBOOK
    if fresh:
        needs = requirements_for(sorted(fresh), exclude=KERNEL_PACKAGES | session.linked)
        session.local_modules.update(needs.local_modules)
        if wants_packages:
            if needs.requirements:
                say(f"preparing {len(needs.requirements)} packages")
                _link(session, needs.requirements)
            session.provided.update(tops)
    return _changed_files(session, (*(tops & session.local_modules),))


def why_not(session: RemoteSession, module: str) -> str:
    """Say why a module cannot be had from the notebook's environment; empty when it can."""
    wanted = session.info.spec.image.python
    if wanted and wanted != python_version():
        return (
            f"the image has Python {wanted}, this notebook {python_version()}, so its packages do not fit: "
            f"add `{module}` to the image with `.pip_install(...)`"
        )
    return ""


def install(session: RemoteSession, requirements: Iterable[str]) -> None:
    """Add packages that the user names, with what they depend on; raises BadOption, BuildFailed.

    One without a version is taken at the notebook's, where the notebook has it.
    """
    wanted = tuple(_at_this_version(text.strip()) for text in requirements)
    for text in wanted:
        name = canonical(_name(text))
        if name in {canonical(linked) for linked in session.linked}:
            raise BadOption(
                f"{name} is in this session already and cannot be replaced while it runs: "
                f"declare `cellburst.Image.from_notebook().pip_install({text!r})`."
            )
    _link(session, wanted, resolve=True)


def _at_this_version(text: str) -> str:
    found = catalogue().find(canonical(text)) if _DISTRIBUTION.fullmatch(text) else None
    return f"{text}=={found.version}" if found is not None and not found.is_local else text


def _name(requirement: str) -> str:
    found = _DISTRIBUTION.match(requirement)
    return found[0] if found else ""


def _link(session: RemoteSession, requirements: tuple[str, ...], *, resolve: bool = False) -> None:
    layer = session.add_layer(requirements, resolve=resolve)
    if layer and layer not in session.layers:
        session.layers.append(layer)
    session.linked.update(filter(None, map(_name, requirements)))


def _changed_files(session: RemoteSession, tops: Iterable[str]) -> LocalModules:
    found = []
    for top in tops:
        root = local_module_root(top)
        for path, content in local_module_files(root) if root is not None else ():
            mark = digest(content)
            if session.modules.get(path) != mark:
                session.modules[path] = mark
                found.append((FileRef(path=path, size_bytes=len(content), digest=mark), content))
    return tuple(found)
