"""A run as a page: the machine, every promise with what became of it, and a table a row. The page is written whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.harness.records import RowRecord, RunRecord
from benchmarks.harness.verdicts import times_of, words_of_ms

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_CANNOT: Final = (
    "Real networks, real cards, and Ray between hosts. A virtual machine may hand its free pages to its host: who\n"
    "touches one first then waits for the host. Rows that move large arrays touch memory before they begin, but\n"
    "pages that a row itself gives back may be handed over again. A ratio compares medians of one run, whose\n"
    "contestants took turns: read ratios first, absolute times move more from run to run."
)


def page(run: RunRecord, source: str, pictures: dict[str, str]) -> str:
    """Return the page; `source` is the file it is written from, `pictures` maps rows to the paths of their plots."""
    lines = [
        "# What is measured",
        "",
        f"Written by `make bench ARGS=--keep` from `benchmarks/results/{source}`; do not edit.",
        "How to run it: [CONTRIBUTING](../CONTRIBUTING.md#measuring).",
        "",
        f"Machine: {_machine(run)}.",
        "",
        *_provisional(run),
        "## Promises",
        "",
        *_promises(run),
        "",
        *(line for row in run.rows.values() for line in _row(row, pictures.get(row.name, ""))),
        "## What this cannot show",
        "",
        _CANNOT,
    ]
    return "\n".join(lines) + "\n"


def table_of(row: RowRecord) -> list[str]:
    """Return a row's figures for a terminal."""
    if row.failed:
        return [f"{row.title}: NOT MEASURED: {row.failed}"]
    width = max(len(name) for name in row.figures)
    lines = [f"{row.title} ({row.seconds:.0f} s, load {row.load})"]
    for name, found in row.figures.items():
        took = f"median {words_of_ms(found.median_ms):>8}   p99 {words_of_ms(found.p99_ms):>8}   n {found.count:>5}"
        lines.append(f"  {name:<{width}}  {took}   {times_of(found, row.base)}")
    lines += [
        f"  {verdict.what}: {verdict.measured} of {verdict.promised}: {verdict.words}" for verdict in row.verdicts
    ]
    return [*lines, *(f"  {note}" for note in row.notes)]


def _machine(run: RunRecord) -> str:
    machine = run.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    kind = "virtual machine, " if machine["virtual"] else ""
    return (
        f"{kind}{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}; {packages}. {machine['date']}, commit {machine['commit']}"
    )


def _provisional(run: RunRecord) -> Iterator[str]:
    """Say it where other work ran meanwhile: then nothing on the page is a statement about us alone."""
    most, cores = max((row.load for row in run.rows.values()), default=0.0), run.machine["cores"]
    if most > cores:
        yield f"**Provisional: other work ran on this machine, up to {most:g} processes for {cores} cores.** Times are"
        yield "too high, 99th percentiles most of all, and neither a promise kept nor one missed is settled by them."
        yield ""


def _promises(run: RunRecord) -> Iterator[str]:
    yield "| | promised | measured | |"
    yield "|---|---|---|---|"
    for row in run.rows.values():
        for verdict in row.verdicts:
            yield f"| {verdict.what} | {verdict.promised} | {verdict.measured} | {verdict.words} |"
        if row.failed:
            yield f"| {row.title} | | | not measured: {_cell(row.failed)} |"


def _row(row: RowRecord, picture: str) -> Iterator[str]:
    yield f"## {row.title}"
    yield ""
    yield row.how
    yield ""
    if row.failed:
        yield f"Not measured: {_cell(row.failed)}."
        yield ""
        return
    if picture:
        yield f"![{row.title}: medians]({picture})"
        yield ""
    yield f"| | median | p99 | runs |{f' × {row.reference} |' if row.base else ''}"
    yield f"|---|---|---|---|{'---|' if row.base else ''}"
    for name, found in row.figures.items():
        label = f"**{name}**" if name in row.ours else f"*{name}*" if name in row.limits else name
        ratio = f" {times_of(found, row.base).removesuffix(' ×')} |" if row.base else ""
        yield f"| {label} | {words_of_ms(found.median_ms)} | {words_of_ms(found.p99_ms)} | {found.count} |{ratio}"
    yield ""
    remarks = "; ".join((*row.notes, f"load of the machine as it began: {row.load}"))
    yield f"{remarks[0].upper()}{remarks[1:]}. Measured {row.measured_at.partition('T')[0]}."
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
