"""What happened, told from the executed notebook and from the runtime's records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from records import Records, ask_runtime, bill, containers_told, usd

KIB: Final = 1024
WORTH_SAYING_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class RemoteCell:
    """One executed `%%gpu` cell: its name, its output in one line, its footer."""

    name: str
    output: str
    footer: dict[str, Any]


def tell(notebook: Any) -> None:
    """Print the account."""
    cells = remote_cells(notebook)
    records = ask_runtime(dict.fromkeys(cell.footer["session"] for cell in cells if cell.footer))
    sections = {
        "Where each %%gpu cell ran, and what travelled": cells_table(cells),
        "What came out": (f"{cell.name:<12}{cell.output}" for cell in cells),
        "What the cells read and wrote beside the notebook": files_told(cells),
        "The containers: idle ones went away, their state woke in the next": containers_told(records),
        f"What it cost, by the prices of {records.price_table}": bill(records),
        "What to know": caveats(cells, records),
    }
    for title, lines in sections.items():
        print(f"\n{title}\n{'-' * len(title)}")
        print("\n".join(lines))


def remote_cells(notebook: Any) -> list[RemoteCell]:
    """Return the notebook's `%%gpu` cells in order."""
    found = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("%%gpu")]
    return [RemoteCell(cell.id, summary(cell.outputs), footer(cell.outputs)) for cell in found]


def footer(outputs: Sequence[Any]) -> dict[str, Any]:
    """Return what the cell's footer says of it, empty when it has none."""
    marks = [output.get("metadata", {}).get("cellburst", {}) for output in outputs]
    return next((dict(mark) for mark in marks if mark.get("footer")), {})


def summary(outputs: Sequence[Any]) -> str:
    """Return a cell's outputs in one line: the last line it printed, what it showed, its result."""
    return ", ".join(_unique(_short(output) for output in outputs if not _is_ours(output))) or "nothing"


def cells_table(cells: Sequence[RemoteCell]) -> Iterator[str]:
    """Yield a line for each remote cell: where, how long, what it waited for, what travelled, what it cost."""
    yield f"{'cell':<12}{'where':<18}{'ran':>9}  {'before it':<14}{'shipped':>10}{'came home':>11}{'cost':>10}"
    for cell in cells:
        mark = cell.footer
        yield (
            f"{cell.name:<12}{_card(mark):<18}{_seconds(mark.get('run_s', 0)):>9}  {_waited(mark):<14}"
            f"{_size(mark.get('shipped_bytes', 0)):>10}{_size(mark.get('returned_bytes', 0)):>11}"
            f"{usd(mark.get('cost_microusd', 0)):>10}"
        )


def files_told(cells: Sequence[RemoteCell]) -> Iterator[str]:
    """Yield a line for each cell that read or wrote files of the notebook's folder."""
    for cell in cells:
        came, went = cell.footer.get("files_in", ()), cell.footer.get("files_out", ())
        if came or went:
            yield f"{cell.name:<12}read {', '.join(came) or 'nothing'}; wrote {', '.join(went) or 'nothing'}"


def caveats(cells: Sequence[RemoteCell], records: Records) -> Iterator[str]:
    """Yield what is weaker or other than it looks."""
    if any(cell.footer.get("simulated") for cell in cells):
        yield "The cards are simulated: cells ran on this machine's processor; the bill is what real ones would cost."
    if records.runtime.isolation:
        yield f"The containers are {records.runtime.isolation}. {records.runtime.mend}".rstrip()


def _short(output: Any) -> str:
    if output.output_type == "stream":
        lines = output.text.strip().splitlines()
        return f"“{lines[-1]}”" + (f" after {len(lines) - 1} lines" if len(lines) > 1 else "") if lines else ""
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    pictures = [kind for kind in output.data if kind.startswith("image/")]
    return "a picture" if pictures else str(output.data.get("text/plain", "")).splitlines()[0]


def _is_ours(output: Any) -> bool:
    return "cellburst" in output.get("metadata", {})


def _unique(texts: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _card(mark: dict[str, Any]) -> str:
    return f"{mark.get('card', '?')}{' simulated' if mark.get('simulated') else ''}"


def _waited(mark: dict[str, Any]) -> str:
    waited, shipping = mark.get("cold_s", 0), mark.get("shipping_s", 0)
    if waited:
        return f"{'woke' if mark.get('woke') else 'cold'} {_seconds(waited)}"
    return f"shipped {_seconds(shipping)}" if shipping >= WORTH_SAYING_S else "warm"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < KIB:
            return f"{size:.0f} {unit}"
        size /= KIB
    return f"{size:.1f} GiB"
