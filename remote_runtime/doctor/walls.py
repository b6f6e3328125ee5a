"""How separate cells will be: the runtime's own trial, raised around nothing, and the word that it gives."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.errors import CellburstError
from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.providers.mending import mend
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.sandbox import CONFINED, OPEN, SANDBOXED, Ours, Sandbox
from remote_runtime.settings import Settings

_MEANS: Final = {
    SANDBOXED: "Cells will be another user than any of this host's, and see their own files and processes only.",
    CONFINED: "Cells will see their own files and processes only, behind walls but under your user's number.",
    OPEN: "Cells will be able to read and do what the runtime's user can.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WallFacts:
    """What came of the trial."""

    word: str  # "sandboxed", "confined" or "open", as everywhere
    refusal: str = ""  # why there are no walls
    wanted: bool = True  # False: the operator chose none
    root: bool = False
    advice: str = ""  # the runtime's own line for this word


def probe(settings: Settings) -> WallFacts:
    """Raise a container's walls around nothing, in folders that are then removed."""
    word, refusal = _try(settings)
    return WallFacts(
        word=word,
        refusal=refusal,
        wanted=settings.sandbox,
        root=os.geteuid() == 0,
        advice=mend(word, refusal, embedded=settings.port is None),
    )


def judge(facts: WallFacts) -> tuple[Finding, ...]:
    """Say the word, and what it means."""
    if facts.word != OPEN:
        found = f"cells are `{facts.word}`: walls were raised in a trial"
        return (_finding(Grade.OK, found, _MEANS[facts.word]),)
    found = f"cells are `{facts.word}`: {facts.refusal or 'CELLBURST_SANDBOX is off'}"
    if facts.root and facts.wanted:
        means = "Cells will not run: the runtime does not let them be root of this host."
        how = "Mend what is weaker below, or serve as an ordinary user: `sudo -u USER cellburst runtime serve`."
        return (_finding(Grade.MISSING, found, means, how),)
    return (_finding(Grade.WEAKER, found, _MEANS[OPEN], facts.advice or "Mend what is weaker below."),)


def _try(settings: Settings) -> tuple[str, str]:
    """Return the word and why it is no stronger."""
    with tempfile.TemporaryDirectory(prefix="cellburst-doctor-") as folder:
        ours = Ours(payload=prepare_payload(Path(folder, "payload")), scratch=Path(folder, "roots"))
        try:
            sandbox = Sandbox(ours, settings.container_env, wanted=settings.sandbox)
        except CellburstError as error:
            return OPEN, str(error)
        sandbox.close()
        return sandbox.word, sandbox.refusal


def _finding(grade: Grade, found: str, means: str, how: str = "") -> Finding:
    return Finding(group=Group.WALLS, subject="isolation", grade=grade, found=found, means=means, mend=how, vital=True)
