"""The round: every subject is probed, then judged."""

from __future__ import annotations

from collections.abc import Callable

from remote_runtime.clock import SystemClock
from remote_runtime.doctor import (
    address,
    cards,
    cgroups,
    clocks,
    disk,
    engine,
    folders,
    kernel,
    limits,
    memory,
    namespaces,
    packages,
    walls,
)
from remote_runtime.doctor.findings import Finding, Group
from remote_runtime.settings import Settings

Say = Callable[[str], None]


def examine(settings: Settings, *, connected: str = "", say: Say = lambda subject: None) -> tuple[Finding, ...]:
    """Look at this host as a runtime with these settings would meet it; nothing is left behind.

    `connected` is the address of a runtime elsewhere, whose clock is compared; `say` gets what is looked at now.
    """
    say("kernel")
    found = [*walls.judge(walls.probe(settings)), *kernel.judge(kernel.probe())]
    found += namespaces.judge(namespaces.probe(settings.data_dir))
    say("memory and disks")
    found += [*cgroups.judge(cgroups.probe()), *memory.judge(memory.probe(settings.arena_dir))]
    say("uv and the package index")
    installed = packages.probe(settings.own_env)
    found += [*_disks(settings, installed), *limits.judge(limits.probe()), *packages.judge(installed)]
    say("address, files and clock")
    found += [*address.judge(address.probe(settings)), *folders.judge(folders.probe(settings))]
    found += clocks.judge(clocks.probe(SystemClock(), connected))
    say("cards")
    found += [*cards.judge(cards.probe(settings.simulate)), *engine.judge(engine.probe(settings.own_env))]
    order = list(Group)
    return tuple(sorted(found, key=lambda finding: order.index(finding.group)))


def _disks(settings: Settings, installed: packages.PackageFacts) -> list[Finding]:
    found = [
        disk.judge_folder(disk.probe_folder("data folder", settings.data_dir), disk.DATA),
        disk.judge_folder(disk.probe_folder("runtime folder", settings.runtime_dir), disk.RUNTIME),
    ]
    if installed.cache is not None:
        found.append(disk.judge_folder(disk.probe_folder("package cache", installed.cache), disk.CACHE))
        found.append(disk.judge_links(disk.probe_links(installed.cache, settings.data_dir)))
    return found
