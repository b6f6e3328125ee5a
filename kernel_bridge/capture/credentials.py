"""Values that look like credentials, judged by their form and never by a name alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

MOST_CHARS: Final = 16_384

_FORMS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("a GitHub token", re.compile(r"^(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,})$")),
    ("an AWS access key", re.compile(r"^(?:AKIA|ASIA)[A-Z0-9]{16}$")),
    ("a Slack token", re.compile(r"^xox[abeoprs]-[A-Za-z0-9-]{10,}$")),
    ("a Hugging Face token", re.compile(r"^hf_[A-Za-z0-9]{20,}$")),
    ("a Google API key", re.compile(r"^AIza[\w-]{35}$")),
    ("a GitLab token", re.compile(r"^gl(?:pat|dt|rt|cbt)-[\w.-]{20,}$")),
    ("a Stripe key", re.compile(r"^[rs]k_(?:live|test)_[A-Za-z0-9]{16,}$")),
    ("an API key", re.compile(r"^sk-(?=.*\d)(?=.*[A-Z])[\w-]{20,}$")),
    ("a package index token", re.compile(r"^pypi-[\w-]{50,}$")),
    ("a Cellburst token", re.compile(r"^cb_[\w-]{43}$")),
    ("a signed web token", re.compile(r"^eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}$")),
)
_HEADER: Final = re.compile(r"^(?:Bearer|Basic|Token|token)\s+(\S{16,512})$")
_PASSWORD_IN_URL: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]{8,128})@\S+$")
# Names that are usual for what is no secret: there, a hash or an id is what one expects.
_WEAK_NAME: Final = re.compile(r"(?i)(?:^|_)(?:keys?|auth|tokens?)(?:_|$)")
_STRONG_NAME: Final = re.compile(r"(?i)(?:api_?key|access_key|secret|passw|passphrase|pwd|credential)")
_ID_OR_HASH: Final = re.compile(r"(?i)^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:sha\d+:)?[0-9a-f]{16,128})$")
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|_)(?:api_?keys?|keys?|access_key|tokens?|secrets?|passwords?|passwd|pwd|passphrase|credentials?|auth)(?:_|$)"
)
_ONE_WORD: Final = re.compile(r"^[\w+/=.:~!@#$%^&*-]{16,512}$")
_LEAST_BITS: Final = 3.3


def looks_like_credential(name: str, value: object) -> str | None:
    """Return what a value looks like, as in `a GitHub token`, or None."""
    text = _text(value)
    if text is None:
        return None
    stripped = text.strip()
    for kind, form in _FORMS:
        if form.search(stripped):
            return kind
    if (header := _HEADER.match(stripped)) and (_is_random(header[1]) or looks_like_credential("", header[1])):
        return "a header that authorises"
    if (url := _PASSWORD_IN_URL.match(stripped)) and _is_random(url[1]):
        return "a URL with a password"
    if _SECRET_NAME.search(name) and _ONE_WORD.match(stripped) and _is_random(stripped):
        weak = _WEAK_NAME.search(name) and not _STRONG_NAME.search(name) and _ID_OR_HASH.match(stripped)
        return None if weak else "a random text under a credential's name"
    return None


def held_back(values: Mapping[str, object]) -> dict[str, str]:
    """Return the names whose values must not travel unasked, and what each looks like."""
    reasons = ((name, looks_like_credential(name, value)) for name, value in values.items())
    return {name: reason for name, reason in reasons if reason is not None}


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= MOST_CHARS else None
    if isinstance(value, bytes | bytearray) and len(value) <= MOST_CHARS:
        return bytes(value).decode("utf-8", "replace")
    return None


def _is_random(text: str) -> bool:
    """Whether characters are as evenly spread as in a generated text, and of more than one sort."""
    counts = Counter(text)
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())
    sorts = (str.islower, str.isupper, str.isdigit)
    mixed = sum(any(test(char) for char in text) for test in sorts) >= 2
    path_like = "/" in text and text.count("/") * 8 >= len(text)
    return bits >= _LEAST_BITS and mixed and any(map(str.isdigit, text)) and not path_like
