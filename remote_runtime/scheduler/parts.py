"""What the scheduler's parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import PriceTable
from remote_runtime.clock import Clock
from remote_runtime.images.engine_builder import NOBODY, Asker
from remote_runtime.images.records import Environment, Layer
from remote_runtime.images.uv import Progress
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.registry import Providers
from remote_runtime.scheduler.herald import Herald
from remote_runtime.scheduler.lines import Lines
from remote_runtime.scheduler.places import Places
from remote_runtime.scheduler.roster import Roster
from remote_runtime.scheduler.tasks import Tasks, WriteBehind
from remote_runtime.secrets.service import Secrets
from remote_runtime.settings import Settings
from remote_runtime.store.store import Store
from remote_runtime.volumes.service import Volumes


class Images(Protocol):
    """What builds environments and layers."""

    async def environment(self, recipe: ImageRecipe, progress: Progress, asker: Asker = NOBODY) -> Environment:
        """Return the environment of a recipe, built if it is not there, with its asker's secrets."""

    async def layer(
        self, environment: Environment, requirements: tuple[str, ...], progress: Progress, *, resolve: bool = False
    ) -> Layer:
        """Return a directory with exactly these pins, or with what these requirements resolve to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The control plane's parts, made once by the composition root."""

    settings: Settings
    clock: Clock
    store: Store
    accounts: Accounts
    prices: PriceTable
    secrets: Secrets
    volumes: Volumes
    images: Images
    providers: Providers
    inventory: Inventory  # of this host
    places: Places
    roster: Roster
    lines: Lines
    tasks: Tasks
    writes: WriteBehind  # rows that nobody waits for
    sayings: WriteBehind  # progress lines, in order
    herald: Herald  # tells events, metrics and the log what happens
    control_url: str  # where agents dial
