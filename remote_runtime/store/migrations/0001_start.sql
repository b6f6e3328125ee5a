-- The first schema. Never edited once released; a change is a new file with the next number.
-- Statements are parted by blank lines. The words are those that SQLite and PostgreSQL share.

CREATE TABLE sessions (
  id TEXT PRIMARY KEY NOT NULL,
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  spec TEXT NOT NULL,
  state TEXT NOT NULL,
  card TEXT NOT NULL,
  card_count INTEGER NOT NULL,
  simulated BOOLEAN NOT NULL,
  provider TEXT NOT NULL,
  place TEXT NOT NULL,
  isolation TEXT NOT NULL,
  mend TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  arena TEXT NOT NULL,
  epoch TEXT NOT NULL,
  layers TEXT NOT NULL,
  container_id TEXT NOT NULL,
  rate_microusd_per_h BIGINT NOT NULL,
  idle_since_s DOUBLE PRECISION,
  pinned_until_s DOUBLE PRECISION,
  kept_names TEXT NOT NULL,
  kept_bytes BIGINT NOT NULL,
  kept_until_s DOUBLE PRECISION,
  opened_at_s DOUBLE PRECISION NOT NULL,
  closed_at_s DOUBLE PRECISION
)

-- One session a specification and owner, however many ask at once.
CREATE UNIQUE INDEX sessions_key ON sessions (owner, key) WHERE state <> 'closed'

CREATE TABLE containers (
  id TEXT PRIMARY KEY NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  provider TEXT NOT NULL,
  place TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  card TEXT NOT NULL,
  card_count INTEGER NOT NULL,
  simulated BOOLEAN NOT NULL,
  cpu DOUBLE PRECISION NOT NULL,
  memory_bytes BIGINT NOT NULL,
  rates TEXT NOT NULL,
  state TEXT NOT NULL,
  fence BIGINT NOT NULL,
  lease_until_s DOUBLE PRECISION NOT NULL,
  handle TEXT,
  created_at_s DOUBLE PRECISION NOT NULL,
  started_at_s DOUBLE PRECISION,
  heartbeat_at_s DOUBLE PRECISION,
  ended_at_s DOUBLE PRECISION,
  cause TEXT NOT NULL,
  billed BOOLEAN NOT NULL
)

CREATE INDEX containers_live ON containers (created_at_s) WHERE ended_at_s IS NULL

CREATE INDEX containers_session ON containers (session_id)

CREATE TABLE cells (
  id TEXT PRIMARY KEY NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  container_id TEXT NOT NULL REFERENCES containers (id),
  status TEXT NOT NULL,
  code_digest TEXT NOT NULL,
  submitted_at_s DOUBLE PRECISION NOT NULL,
  started_at_s DOUBLE PRECISION NOT NULL,
  ended_at_s DOUBLE PRECISION,
  last_seq BIGINT NOT NULL
)

CREATE INDEX cells_session ON cells (session_id, started_at_s)

CREATE INDEX cells_container ON cells (container_id, started_at_s)

CREATE TABLE tokens (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  scope TEXT NOT NULL,
  hash TEXT NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  expires_at_s DOUBLE PRECISION,
  revoked_at_s DOUBLE PRECISION
)

CREATE UNIQUE INDEX tokens_hash ON tokens (hash)

CREATE TABLE secrets (
  name TEXT PRIMARY KEY NOT NULL,
  keys TEXT NOT NULL,
  sealed TEXT NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  updated_at_s DOUBLE PRECISION NOT NULL
)

CREATE TABLE volumes (
  name TEXT PRIMARY KEY NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  size_bytes BIGINT NOT NULL
)

CREATE TABLE images (
  digest TEXT PRIMARY KEY NOT NULL,
  recipe TEXT NOT NULL,
  state TEXT NOT NULL,
  path TEXT NOT NULL,
  log_path TEXT NOT NULL,
  error TEXT NOT NULL,
  build_s DOUBLE PRECISION NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  used_at_s DOUBLE PRECISION NOT NULL
)

CREATE TABLE blobs (
  digest TEXT PRIMARY KEY NOT NULL,
  size_bytes BIGINT NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  used_at_s DOUBLE PRECISION NOT NULL
)

-- Append-only. One line a container, resource and use, so that closing a container twice bills it once.
CREATE TABLE ledger (
  container_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  use TEXT NOT NULL,
  session_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  quantity DOUBLE PRECISION NOT NULL,
  rate_microusd_per_h BIGINT NOT NULL,
  started_at_s DOUBLE PRECISION NOT NULL,
  ended_at_s DOUBLE PRECISION NOT NULL,
  duration_ms BIGINT NOT NULL,
  cost_microusd BIGINT NOT NULL,
  place TEXT NOT NULL,
  simulated BOOLEAN NOT NULL,
  price_table TEXT NOT NULL,
  PRIMARY KEY (container_id, resource, use)
)

CREATE INDEX ledger_ended ON ledger (ended_at_s)
