"""What the host's pip and uv are configured to use, as the environment of a uv process.

pip's own files are read, not `pip config list`: pip is often absent beside uv, and asking it costs half a second.
Indexes and find-links go to uv through its environment, never its arguments: an index URL may hold a password, and
arguments are visible to every user of the host.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

# A build may run code of the packages it builds: it sees these variables of the host and no others.
_PASSED_ON: Final = re.compile(
    r"(PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|TZ|NETRC|XDG_\w+|SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT"
    r"|(?:HTTP|HTTPS|ALL|NO)_PROXY|CC|CXX|CFLAGS|CXXFLAGS|LDFLAGS|CUDA_HOME|LD_LIBRARY_PATH|UV_\w+)\Z",
    re.IGNORECASE,
)
_OUR_CHOICE: Final = re.compile(
    r"UV_(PYTHON|PROJECT\w*|WORKING_DIR|SYSTEM_PYTHON|BREAK_SYSTEM_PACKAGES|TARGET|PREFIX|COMPILE_BYTECODE|VENV_\w+"
    r"|REQUIRE_HASHES|INDEX|DEFAULT_INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|PRERELEASE)\Z"
)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s]+(?=@)")


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Where packages are looked for; an empty field says nothing."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False

    def __repr__(self) -> str:
        return f"IndexOptions({redact(' '.join([self.index_url, *self.extra_index_urls, *self.find_links]))!r})"

    def plus(self, more: IndexOptions) -> IndexOptions:
        """Return both, where `more` decides the main index."""
        return IndexOptions(
            index_url=more.index_url or self.index_url,
            extra_index_urls=_distinct((*self.extra_index_urls, *more.extra_index_urls)),
            find_links=_distinct((*self.find_links, *more.find_links)),
            no_index=more.no_index or (self.no_index and not (more.index_url or more.extra_index_urls)),
            pre=self.pre or more.pre,
        )


DEFAULT_INDEX: Final = IndexOptions()


@dataclass(frozen=True, slots=True)
class PipOptions:
    """The host's package settings: indexes, and the other variables a uv process gets."""

    index: IndexOptions = DEFAULT_INDEX
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def places(self) -> tuple[Path, ...]:
        """Return the folders of this host that its own settings name as indexes and find-links."""
        return local_places(self.index)

    def environment(self, more: IndexOptions | None = None) -> dict[str, str]:
        """Return the whole environment for a uv process, with one recipe step's own options added."""
        index = self.index.plus(more or IndexOptions())
        chosen = {
            "UV_DEFAULT_INDEX": index.index_url,
            "UV_INDEX": " ".join(url for url in index.extra_index_urls if _exists(url)),
            "UV_FIND_LINKS": ",".join(place for place in index.find_links if _exists(place)),
            "UV_NO_INDEX": "1" if index.no_index else "",
            "UV_PRERELEASE": "allow" if index.pre else "",
        }
        # pip takes the best version of all its indexes together; uv by default stops at the first that knows the name.
        usual = {"UV_INDEX_STRATEGY": "unsafe-best-match", "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
        return {**usual, **self.variables, **{name: value for name, value in chosen.items() if value}}

    def has_wheel(self, name: str, version: str) -> bool:
        """Tell whether a find-links directory of this host has a wheel of that version, its local label included."""
        prefix = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version.lower()}-"
        folders = (_local_path(place) for place in self.index.find_links)
        return any(
            re.sub(r"^[^-]+", lambda match: re.sub(r"[-_.]+", "_", match[0]), wheel.name.lower()).startswith(prefix)
            for folder in folders
            if folder is not None and folder.is_dir()
            for wheel in folder.glob("*.whl")
        )


def read_pip_options(env: Mapping[str, str], files: Sequence[Path] | None = None) -> PipOptions:
    """Read pip's configuration files and the PIP_* and UV_* variables of `env`, which win over the files."""
    pip = _read_files(config_files(env) if files is None else files)
    pip.update(
        {name[4:].lower().replace("_", "-"): value for name, value in env.items() if name.startswith("PIP_") and value}
    )
    default = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or pip.get("index-url", "")
    extra = (
        *_words(env.get("UV_INDEX", "")),
        *_words(env.get("UV_EXTRA_INDEX_URL", "")),
        *_words(pip.get("extra-index-url", "")),
    )
    index = IndexOptions(
        index_url=default,
        extra_index_urls=_distinct(extra),
        find_links=_distinct(
            (*_words(env.get("UV_FIND_LINKS", "").replace(",", " ")), *_words(pip.get("find-links", "")))
        ),
        no_index=_yes(env.get("UV_NO_INDEX", "")) or _yes(pip.get("no-index", "")),
        pre=env.get("UV_PRERELEASE") == "allow" or _yes(pip.get("pre", "")),
    )
    return PipOptions(index, {**_from_pip(pip), **_passed_on(env)})


def config_files(env: Mapping[str, str], prefix: str = sys.prefix) -> list[Path]:
    """Return the places pip reads its configuration from, the strongest last."""
    if env.get("PIP_CONFIG_FILE") == "/dev/null":
        return []
    home = Path(env.get("HOME", "/"))
    machine = [Path(folder) / "pip/pip.conf" for folder in env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder]
    own = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    files = [
        *machine,
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        own,
    ]
    last = [Path(env["PIP_CONFIG_FILE"])] if env.get("PIP_CONFIG_FILE") else []
    return [*files, Path(prefix) / "pip.conf", *last]


def local_places(index: IndexOptions) -> tuple[Path, ...]:
    """Return those of an index's places that are folders of this host."""
    paths = (_local_path(place) for place in (index.index_url, *index.extra_index_urls, *index.find_links) if place)
    return tuple(path.absolute() for path in paths if path is not None and path.is_dir())


def without_local_places(index: IndexOptions) -> IndexOptions:
    """Leave out what lies on this host."""
    main, extra, links = (
        tuple(place for place in places if place and _local_path(place) is None)
        for places in ((index.index_url,), index.extra_index_urls, index.find_links)
    )
    return replace(index, index_url="".join(main), extra_index_urls=extra, find_links=links)


def has_credentials(text: str) -> bool:
    """Tell whether a URL in the text names a user or a password."""
    return _CREDENTIALS.search(text) is not None


def redact(text: str) -> str:
    """Return the text with the user and password of every URL struck out."""
    return _CREDENTIALS.sub("****", text)


def _read_files(files: Iterable[Path]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself will complain to whoever wrote it
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return settings


def _from_pip(pip: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's settings other than indexes into the variables uv reads."""
    translated = {
        "SSL_CERT_FILE": pip.get("cert", ""),
        "SSL_CLIENT_CERT": pip.get("client-cert", ""),
        "UV_INSECURE_HOST": " ".join(_words(pip.get("trusted-host", ""))),
        "UV_HTTP_TIMEOUT": pip.get("timeout", "") or pip.get("default-timeout", ""),
        "HTTPS_PROXY": pip.get("proxy", ""),
        "HTTP_PROXY": pip.get("proxy", ""),
    }
    return {name: value for name, value in translated.items() if value}


def _passed_on(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in env.items() if _PASSED_ON.match(name) and not _OUR_CHOICE.match(name) and value
    }


def _exists(place: str) -> bool:
    """Tell whether a local place is there (uv stops at a find-links folder that is not); remote ones may be."""
    path = _local_path(place)
    return path is None or path.is_dir()


def _local_path(place: str) -> Path | None:
    url = urlsplit(place)
    if url.scheme == "file":
        return Path(unquote(url.path))
    return None if url.scheme else Path(place).expanduser()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _yes(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes", "on", "y", "t"}


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
