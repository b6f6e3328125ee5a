"""The tables, for the queries. The migrations make them; a test holds the two together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import ContainerState, SessionSpec, SessionState
from remote_runtime.billing.prices import Rates
from remote_runtime.store.rows import CellStatus, ImageState
from remote_runtime.store.types import Text, names, plain, wire, word

METADATA: Final = MetaData()

VERSION: Final = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at_s", Double, nullable=False),
)

SEAT: Final = Table(
    "seat",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("until_s", Double, nullable=False),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("spec", wire(SessionSpec), nullable=False),
    Column("state", word(SessionState), nullable=False),
    Column("card", Text, nullable=False),
    Column("card_count", Integer, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("provider", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("isolation", Text, nullable=False),
    Column("mend", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("arena", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("layers", names(), nullable=False),
    Column("container_id", Text, nullable=False),
    Column("rate_microusd_per_h", BigInteger, nullable=False),
    Column("idle_since_s", Double),
    Column("pinned_until_s", Double),
    Column("kept_names", names(), nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("kept_until_s", Double),
    Column("kept_lost", plain(), nullable=False),
    Column("opened_at_s", Double, nullable=False),
    Column("closed_at_s", Double),
)

CONTAINERS: Final = Table(
    "containers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("card_count", Integer, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("cpu", Double, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("rates", wire(Rates), nullable=False),
    Column("state", word(ContainerState), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until_s", Double, nullable=False),
    Column("handle", plain()),
    Column("created_at_s", Double, nullable=False),
    Column("started_at_s", Double),
    Column("heartbeat_at_s", Double),
    Column("ended_at_s", Double),
    Column("cause", Text, nullable=False),
    Column("billed", Boolean, nullable=False),
    Column("devices", names(), nullable=False),
)

CELLS: Final = Table(
    "cells",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("container_id", Text, primary_key=True),
    Column("status", word(CellStatus), nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("submitted_at_s", Double, nullable=False),
    Column("started_at_s", Double, nullable=False),
    Column("ended_at_s", Double),
    Column("last_seq", BigInteger, nullable=False),
)

TOKENS: Final = Table(
    "tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("expires_at_s", Double),
    Column("revoked_at_s", Double),
    Column("last_used_at_s", Double),
)

SECRETS: Final = Table(
    "secrets",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("keys", names(), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("updated_at_s", Double, nullable=False),
)

VOLUMES: Final = Table(
    "volumes",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created_at_s", Double, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

IMAGES: Final = Table(
    "images",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("recipe", wire(ImageRecipe), nullable=False),
    Column("state", word(ImageState), nullable=False),
    Column("path", Text, nullable=False),
    Column("log_path", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("build_s", Double, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("used_at_s", Double, nullable=False),
)

BLOBS: Final = Table(
    "blobs",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("used_at_s", Double, nullable=False),
)

HOLDINGS: Final = Table(
    "holdings",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
)

LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("container_id", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("use", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("quantity", Double, nullable=False),
    Column("rate_microusd_per_h", BigInteger, nullable=False),
    Column("started_at_s", Double, nullable=False),
    Column("ended_at_s", Double, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("price_table", Text, nullable=False),
)
