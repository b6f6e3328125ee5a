"""Volumes and secrets that a cell names: by the notebook's variables, and made where the runtime lacks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kernel_bridge.client.http import ControlPlane
from kernel_bridge.errors import BadOption, NotFound
from kernel_bridge.protocol.sessions import VolumeMount
from kernel_bridge.sdk.secret import Secret
from kernel_bridge.sdk.volume import Volume


def hand_over(control_plane: ControlPlane, names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Give the runtime what it lacks; return a line for each, never with a value.

    Raises NotFound for a name that neither side has.
    """
    wanted = list(names)
    if not wanted:
        return []
    known = {secret.name for secret in control_plane.secrets()}
    missing = [name for name in wanted if name not in known]
    for name in missing:
        if name not in environment:
            raise NotFound(
                f"There is no secret `{name}`: `cellburst secret create {name} KEY=-` makes one, "
                f"or set the environment variable {name} in this notebook."
            )
    for name in missing:
        control_plane.put_secret(name, {name: environment[name]})
    return [f"secret {name}: taken from this notebook's environment, kept encrypted by the runtime" for name in missing]


def mounts(
    asked: Iterable[VolumeMount], namespace: Mapping[str, Any], model_cache: VolumeMount | None = None
) -> tuple[VolumeMount, ...]:
    """Return the mounts with the names that the notebook's `cellburst.Volume` variables stand for; raises BadOption."""
    asked = tuple(asked)
    every = (*asked, *([model_cache] if model_cache else []))
    if model_cache and any(mount.path == model_cache.path for mount in asked):
        raise BadOption(f"The model cache appears at `{model_cache.path}`: give that `--volume` another path.")
    return tuple(_mount(mount, namespace.get(mount.name)) for mount in every)


def secret_names(asked: Iterable[str], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that the notebook's `cellburst.Secret` variables stand for; other names as they are."""
    found = ((name, namespace.get(name)) for name in asked)
    return tuple(value.name if isinstance(value, Secret) else name for name, value in found)


def make_volumes(control_plane: ControlPlane, asked: Iterable[VolumeMount], namespace: Mapping[str, Any]) -> None:
    """Make the volumes that the notebook said to create where they are missing."""
    asked = tuple(asked)
    names = {mount.name for mount in asked}
    wanted = {value.name for value in namespace.values() if isinstance(value, Volume) and value.create_if_missing}
    wanted |= {mount.name for mount in asked if mount.model_cache}
    if names & wanted:
        known = {volume.name for volume in control_plane.volumes()}
        for name in sorted((names & wanted) - known):
            control_plane.create_volume(name)


def _mount(mount: VolumeMount, value: Any) -> VolumeMount:
    if not isinstance(value, Volume):
        return mount
    version = mount.version or value.version
    return replace(
        mount,
        name=value.name,
        read_only=mount.read_only or value.is_read_only or bool(version),
        sub_path="/".join(filter(None, (value.sub_path, mount.sub_path))),
        version=version,
    )
