"""`cellburst runtime serve|status|doctor|prune|stop`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Final

from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect_if_running, table
from kernel_bridge.client.embedded import check_can_embed, runtime_command, runtime_environment, wait_until_gone
from kernel_bridge.client.replies import CardStock, RuntimeInfo
from kernel_bridge.config import ClientConfig
from kernel_bridge.protocol.money import format_usd
from kernel_bridge.protocol.resources import show_size
from kernel_bridge.protocol.sessions import SessionInfo
from kernel_bridge.protocol.wire import to_wire

DEFAULT_PORT: Final = 8917


def add_commands(nouns: Nouns) -> None:
    """Add `runtime` and its verbs."""
    verbs = add_noun(nouns, "runtime", "run, look at or stop a runtime")
    serve = add_command(verbs, "serve", _serve, "serve this machine's cards to notebooks, until interrupted")
    _add_place(serve)
    add_json(add_command(verbs, "status", _status, "show what the runtime has and what runs in it"))
    doctor = add_command(
        verbs, "doctor", _doctor, "look at what this host has for cells, and say how to mend what is weak"
    )
    _add_place(doctor)
    add_json(doctor)
    prune = add_command(verbs, "prune", _prune, "remove blobs, images, folders and logs that nobody needs, now")
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    add_json(prune)
    add_command(verbs, "stop", _stop, "save what runs, stop its containers, and end the runtime")


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a runtime is and what it has."""
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        help=f"listen here (port {DEFAULT_PORT} unless --port)",
    )
    parser.add_argument("--port", metavar="N", type=int, help="listen on this port (0 takes any free one)")
    parser.add_argument("--socket", metavar="PATH", help="listen on this unix socket")
    parser.add_argument("--data-dir", metavar="PATH", help="keep state, images and volumes here")
    parser.add_argument(
        "--provider",
        metavar="process,docker",
        help="where containers come from: processes of this host, its container engine, or both, the usual first",
    )
    parser.add_argument("--simulate-gpus", metavar="A100:2", help="declare cards that are not there; cells use the CPU")


def _serve(arguments: argparse.Namespace) -> None:
    """Become the runtime."""
    check_can_embed()
    env = runtime_environment(ClientConfig.load()) | _chosen(arguments)
    for name in ("CELLBURST_DATA_DIR", "CELLBURST_RUNTIME_DIR"):
        Path(env[name]).mkdir(parents=True, exist_ok=True, mode=0o700)
    _become(runtime_command("serve"), env)


def _doctor(arguments: argparse.Namespace) -> None:
    """Become the doctor, which looks at this host wherever the notebook is connected to, and changes nothing."""
    check_can_embed()
    config = ClientConfig.load()
    options = ["--json"] if arguments.json else []
    if config.connected is not None:
        options += ["--connected", config.connected.url]
    _become(runtime_command(*options, module="remote_runtime.doctor"), runtime_environment(config) | _chosen(arguments))


def _become(command: list[str], env: dict[str, str]) -> None:
    """Run a program of the runtime's in our place: it may not be imported from here."""
    sys.stdout.flush()
    os.execve(command[0], command, env)  # noqa: S606  # a program of ours, by its full path


def _chosen(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings given as options; they win over the environment's."""
    port = arguments.port
    given = {
        "CELLBURST_HOST": arguments.host,
        "CELLBURST_PORT": DEFAULT_PORT if port is None and arguments.host else port,
        "CELLBURST_SOCKET": arguments.socket,
        "CELLBURST_DATA_DIR": arguments.data_dir,
        "CELLBURST_PROVIDERS": arguments.provider,
        "CELLBURST_SIMULATE_GPUS": arguments.simulate_gpus,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _status(arguments: argparse.Namespace) -> None:
    plane = connect_if_running()
    if plane is None:
        none = "No runtime runs here; the first %%gpu cell starts one."
        print(json.dumps({"running": False}) if arguments.json else none)
        return
    with plane:
        info, sessions = plane.runtime(), plane.sessions()
    if arguments.json:
        print(json.dumps({"running": True, "runtime": to_wire(info), "sessions": to_wire(sessions)}, indent=2))
        return
    print(_headline(info, str(plane.address)))
    print(f"cards: {', '.join(map(_card, info.cards)) or 'none; cells run on the CPU with `%%gpu cpu`'}")
    rows = [("SESSION", "STATE", "CARD", "RATE", "SPENT", "STORED", "NOTEBOOK"), *map(_session_row, sessions)]
    print(table(rows) if sessions else "no sessions")


def _prune(arguments: argparse.Namespace) -> None:
    plane = connect_if_running()
    if plane is None:
        print("No runtime runs here; it tidies up by itself when it does.")
        return
    with plane:
        removed = plane.prune(dry_run=arguments.dry_run).removed
    if arguments.json:
        print(json.dumps(to_wire(removed), indent=2))
        return
    total = show_size(sum(one.size_bytes for one in removed))
    rows = [("KIND", "NAME", "SIZE"), *((one.kind, one.name, show_size(one.size_bytes)) for one in removed)]
    print(table(rows) if removed else "nothing is kept that nobody needs")
    if removed:
        print(f"{total} {'would go' if arguments.dry_run else 'are free'}")


def _stop(arguments: argparse.Namespace) -> None:
    plane = connect_if_running()
    if plane is None:
        print("No runtime runs here.")
        return
    with plane:
        plane.stop_runtime()
    config = ClientConfig.load()
    if config.connected is None:
        wait_until_gone(config)
    print("The runtime has saved what ran, and ended.")


def _headline(info: RuntimeInfo, address: str) -> str:
    kind = "started by a notebook" if info.embedded else "a server"
    where = f"{info.place or 'this machine'}, {kind}, pid {info.pid}, at {address}"
    line = f"cellburst {info.version} on {where}; {info.isolation}"
    return f"{line}\n{info.mend}" if info.mend else line


def _card(stock: CardStock) -> str:
    return f"{stock.free} of {stock.total} {stock.card} free{' (simulated)' if stock.simulated else ''}"


def _session_row(session: SessionInfo) -> tuple[str, ...]:
    card = f"{session.card or '-'}{' simulated' if session.simulated else ''}"
    state = f"{session.container_state or session.state}{', frozen' if session.frozen else ''}"
    rate = f"{format_usd(session.rate_microusd_per_h)}/h"
    stored = show_size(session.kept_bytes) if session.kept_bytes else "-"
    spent = format_usd(session.spent_microusd)
    return session.id, state, card, rate, spent, stored, session.spec.notebook.path or "-"
