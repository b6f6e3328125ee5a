"""Logging: one line a record on standard error, and nothing in it that could be a token."""

from __future__ import annotations

import logging
import re
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TOKEN: Final = re.compile(r"\bcb_[A-Za-z0-9_-]{8,}")


class TokenFilter(logging.Filter):
    """Strike out whatever looks like one of our tokens, wherever the record came from."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text; it always stays."""
        text = record.getMessage()
        if "cb_" in text:
            record.msg, record.args = _TOKEN.sub("cb_***", text), None
        return True


def set_up(level: str) -> None:
    """Send the log of everything in this process to standard error. `level` is a name such as `info`."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(TokenFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Every connection and request in the log would be most of it; ours say what matters.
    for name in ("uvicorn.access", "uvicorn.error", "websockets"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
