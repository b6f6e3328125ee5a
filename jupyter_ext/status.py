"""What a person sees of a cell besides its output: a status line while it starts, a footer when it is done."""

from __future__ import annotations

import html
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Final

from jupyter_ext.notebook import in_ipykernel
from kernel_bridge.capture.handle import format_bytes
from kernel_bridge.protocol.money import format_usd

# Colours are inherited, so that it reads the same in a light and in a dark theme.
_STYLE: Final = "font-size:0.85em;opacity:0.75;font-family:var(--jp-ui-font-family,system-ui,sans-serif)"
_BUSY: Final = "◌ "
_AT_MOST_EVERY_S: Final = 0.1
_WORTH_SAYING_S: Final = 0.5  # shorter ways to and from a warm container are not mentioned


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What one cell was: shown as text, kept as `metadata.cellburst` of the display."""

    card: str
    card_count: int = 0
    simulated: bool = False
    run_s: float = 0.0
    cold_s: float = 0.0  # all that came before the code ran, where a container had to start; 0 when it was warm
    shipping_s: float = 0.0  # the same where it was warm: packages, values packed here and rebuilt there
    returning_s: float = 0.0  # after the code: what changed is found and brought home
    cost_microusd: int = 0
    session: str = ""
    container: str = ""
    isolation: str = ""
    shipped_bytes: int = 0
    returned_bytes: int = 0
    paged: tuple[str, ...] = ()
    files_in: tuple[str, ...] = ()
    files_out: tuple[str, ...] = ()
    woke: bool = False
    new_session: bool = False
    notices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the line, as in `A100 simulated · 1.2 s · cold 0.8 s · $0.0008`, and one line for each notice."""
        parts = [
            card_label(self.card, self.card_count, simulated=self.simulated),
            format_seconds(self.run_s),
            f"{'woke' if self.woke else 'cold'} {format_seconds(self.cold_s)}" if self.cold_s else "",
            *self._ways,
            format_usd(self.cost_microusd),
            f"read {_few(self.files_in)}" if self.files_in else "",
            f"wrote {_few(self.files_out)}" if self.files_out else "",
        ]
        return "\n".join([" · ".join(part for part in parts if part), *self.notices])

    @property
    def _ways(self) -> list[str]:
        ways = {"shipped": self.shipping_s, "brought home": self.returning_s}
        return [f"{name} {format_seconds(spent_s)}" for name, spent_s in ways.items() if spent_s >= _WORTH_SAYING_S]

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the display's metadata."""
        return {"cellburst": {"footer": True, **asdict(self)}}

    def show(self, shell: Any) -> None:
        """Show it as the last display of the cell."""
        shell.display_pub.publish(data=_bundle(self.text), metadata=self.metadata)


class StatusLine:
    """One display, updated in place, that is gone before the first output."""

    def __init__(self, shell: Any, *, enabled: bool = True, clearable: bool = True) -> None:
        self._shell = shell
        self._enabled = enabled and in_ipykernel(shell)
        self._clearable = clearable  # a line magic shares its cell with other output, which must stay
        self._display_id = ""
        self._text = ""
        self._said_s = 0.0

    def say(self, text: str) -> None:
        """Show what is being waited for now; a quick succession of texts is thinned out."""
        now_s = time.monotonic()
        if not self._enabled or text == self._text or now_s - self._said_s < _AT_MOST_EVERY_S:
            return
        self._said_s = now_s
        self._text = text
        update = bool(self._display_id)
        self._display_id = self._display_id or uuid.uuid4().hex
        self._publish(_bundle(_BUSY + text), update=update)

    def moved(self, way: str, done_bytes: int, size_bytes: int) -> None:
        """Show how far a large value is: `sending 1.2 GB of 3.0 GB`."""
        self.say(f"{way} {format_bytes(done_bytes)} of {format_bytes(size_bytes)}")

    def remove(self) -> None:
        """Let the next output take its place; what is said after that must not clear that output."""
        clearable, self._clearable = self._clearable, False
        if not self._display_id:
            return
        if clearable:
            self._shell.display_pub.clear_output(wait=True)
        else:
            self._publish({"text/plain": "", "text/html": ""}, update=True)
        self._display_id = self._text = ""
        self._said_s = 0.0

    def _publish(self, data: dict[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._display_id}
        metadata = {"cellburst": {"status": True}}
        self._shell.display_pub.publish(data=data, metadata=metadata, transient=transient, update=update)


def card_label(card: str, count: int = 1, *, simulated: bool = False) -> str:
    """Name a card as people read it: `A100`, `H100 ×8`, `A100 simulated`, `CPU`."""
    name = "CPU" if card in {"", "cpu"} else card
    return f"{name}{f' ×{count}' if count > 1 else ''}{' simulated' if simulated else ''}"


def format_seconds(seconds: float) -> str:
    """Write a length of time: `12 ms`, `1.2 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 0.0995:
        return f"{max(round(seconds * 1000), 1)} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _bundle(text: str) -> dict[str, Any]:
    lines = "<br>".join(html.escape(line) for line in text.splitlines())
    return {"text/plain": text, "text/html": f'<div style="{_STYLE}">{lines}</div>'}
