"""What a host lends to the commands of a build: certificates, package indexes, values of secrets, uv.

All of it is one folder that is mounted at `/dev/cellburst` while a command runs. `/dev` of a container is memory, so
that not even the folder's name is in a layer; what is in it is in no layer, no history and no configuration.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

from remote_runtime.images.kernel_packages import KERNEL_LIMITS
from remote_runtime.images.pip_config import PipOptions
from remote_runtime.trash import remove_tree

LENT: Final = "/dev/cellburst"
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES: Final = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True, slots=True)
class Lent:
    """A folder to mount at LENT, and others at their own paths."""

    folder: Path
    places: tuple[Path, ...] = ()
    hidden: tuple[str, ...] = field(default=(), repr=False)  # not to be shown in a log

    @property
    def binds(self) -> list[str]:
        """Return these mounts as an engine takes them."""
        return [f"{self.folder}:{LENT}:ro", *(f"{place}:{place}:ro" for place in self.places)]

    @property
    def entrypoint(self) -> list[str]:
        """Return what a container runs."""
        return ["/bin/sh", f"{LENT}/run"]


@contextmanager
def lent(
    scratch: Path, options: PipOptions, uv: str, command: Sequence[str], secrets: Mapping[str, str]
) -> Iterator[Lent]:
    """Make the folder for one command; it is gone afterwards. Raises OSError."""
    room = scratch / f"lent.{uuid4().hex}"
    room.mkdir(mode=0o700, parents=True)  # nobody of this host looks in; inside, any user of the image may
    try:
        folder = room / "inside"
        (folder / "bin").mkdir(parents=True)
        shutil.copy(uv, folder / "bin" / "uv")
        (folder / "constraints.txt").write_text("\n".join(KERNEL_LIMITS))
        variables = {**_variables(folder, options), **secrets}
        exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        run = [*exports, f"export PATH={LENT}/bin:$PATH", f"exec {shlex.join(command)}"]
        (folder / "run").write_text("\n".join(run) + "\n")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        yield Lent(
            folder,
            tuple(dict.fromkeys(map(_whole, options.places()))),
            tuple(value for value in secrets.values() if value),
        )
    finally:
        remove_tree(room)


def proxies(options: PipOptions) -> dict[str, str]:
    """Return the host's proxies, which every builder passes on and leaves out of an image's history."""
    upper = {name.upper(): value for name, value in options.variables.items()}
    return {name: upper[name] for name in _PROXIES if upper.get(name)}


def _variables(folder: Path, options: PipOptions) -> dict[str, str]:
    index = options.index
    found = {
        "UV_CONSTRAINT": f"{LENT}/constraints.txt",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_PROGRESS": "1",
        "UV_DEFAULT_INDEX": index.index_url,
        "UV_INDEX": " ".join(index.extra_index_urls),
        "UV_FIND_LINKS": ",".join(place for place in index.find_links if "://" in place or Path(place).is_dir()),
        "UV_CONFIG_FILE": _written(folder / "uv.toml", "no-index = true\n") if index.no_index else "",
        "UV_INSECURE_HOST": options.variables.get("UV_INSECURE_HOST", ""),
        "PIP_INDEX_URL": index.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(index.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(place for place in index.find_links if "://" in place or Path(place).is_dir()),
        "PIP_TRUSTED_HOST": options.variables.get("UV_INSECURE_HOST", ""),
    }
    return {
        name: value for name, value in {**found, **proxies(options), **_certificates(folder, options)}.items() if value
    }


def _written(file: Path, text: str) -> str:
    file.write_text(text)
    return f"{LENT}/{file.name}"


def _whole(place: Path) -> Path:
    """The pages of a mirror, in `simple`, name files that lie beside that folder."""
    return place.parent if place.name == "simple" and place.parent != Path("/") else place


def _certificates(folder: Path, options: PipOptions) -> dict[str, str]:
    """A copy, so that a link or a file that only we may read works inside as well."""
    named = options.variables.get("SSL_CERT_FILE", "")
    if not named or not os.access(named, os.R_OK):
        return {}
    shutil.copyfile(named, folder / "ca.pem")
    return dict.fromkeys(_CERTIFICATES, f"{LENT}/ca.pem")
