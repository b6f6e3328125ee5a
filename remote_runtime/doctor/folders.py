"""Who may read what is kept: the data and runtime folders, the token's file, the master key's."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.settings import Settings

MASTER_KEY: Final = "master key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFacts:
    """One folder or file that is its owner's alone."""

    subject: str
    path: Path
    ours: bool = True
    mode: int | None = None  # None: it does not exist yet
    strict: bool = False  # nothing narrows it for us: the runtime refuses it as it is


def probe(settings: Settings) -> tuple[PrivateFacts, ...]:
    """Look at all of them; the master key's file only where the key is not given otherwise."""
    found = [
        _look("data folder's rights", settings.data_dir),
        _look("runtime folder's rights", settings.runtime_dir),
        _look("token file", settings.runtime_dir / "token", strict=True),
    ]
    if settings.master_key_source == "file" or not (settings.master_key_source or settings.master_key):
        found.append(_look(MASTER_KEY, settings.data_dir / "master.key", strict=True))
    return tuple(found)


def judge(facts: tuple[PrivateFacts, ...]) -> tuple[Finding, ...]:
    """Say which of them are open to others; those that are as they should be share one line."""
    wrong = [each for each in facts if not each.ours or _is_open(each)]
    findings = tuple(map(_finding, wrong))
    if wrong:
        return findings
    there = sum(each.mode is not None for each in facts)
    found = f"{there} of {len(facts)} exist, and are this user's alone" if there else "none exists yet"
    means = "Cells will leave tokens, secrets and saved values where nobody else reads them."
    return (Finding(group=Group.PLACES, subject="private files", grade=Grade.OK, found=found, means=means),)


def _finding(facts: PrivateFacts) -> Finding:
    if not facts.ours:
        return Finding(
            group=Group.PLACES,
            subject=facts.subject,
            grade=Grade.MISSING,
            found=f"{facts.path} belongs to another user",
            means="Cells will not run: somebody else could answer in the runtime's name.",
            mend="Set CELLBURST_DATA_DIR and CELLBURST_RUNTIME_DIR to folders of yours.",
            vital=True,
        )
    refused = facts.subject == MASTER_KEY
    if refused:
        means = "Cells will not run: the runtime refuses a key that others can read."
    elif facts.strict:
        means = "Cells will run, and so will those of whoever can read it."
    else:
        means = "Cells will run: the runtime narrows it when it starts; until then others can look in."
    return Finding(
        group=Group.PLACES,
        subject=facts.subject,
        grade=Grade.MISSING if refused else Grade.WEAKER,
        found=f"{facts.path} has mode {facts.mode or 0:04o}",
        means=means,
        mend=f"chmod {'600' if facts.strict else '700'} {facts.path}",
        vital=refused,
    )


def _is_open(facts: PrivateFacts) -> bool:
    return facts.mode is not None and bool(facts.mode & 0o077)


def _look(subject: str, path: Path, *, strict: bool = False) -> PrivateFacts:
    try:
        found = path.stat()
    except PermissionError:
        return PrivateFacts(subject=subject, path=path, ours=False, strict=strict)
    except OSError:
        return PrivateFacts(subject=subject, path=path, strict=strict)
    mode = stat.S_IMODE(found.st_mode)
    return PrivateFacts(subject=subject, path=path, ours=found.st_uid == os.getuid(), mode=mode, strict=strict)
