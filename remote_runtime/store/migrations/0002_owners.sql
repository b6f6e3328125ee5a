-- Several people share a runtime: what each of them named or stored is theirs, and a token says how much of it it opens.

ALTER TABLE tokens ADD COLUMN last_used_at_s DOUBLE PRECISION

-- Until now every person's token could do everything.
UPDATE tokens SET scope = 'admin' WHERE scope = 'owner'

UPDATE tokens SET name = id WHERE revoked_at_s IS NULL AND (name = '' OR EXISTS (
  SELECT 1 FROM tokens AS older
  WHERE older.owner = tokens.owner AND older.name = tokens.name AND older.id < tokens.id AND older.revoked_at_s IS NULL
))

CREATE UNIQUE INDEX tokens_name ON tokens (owner, name) WHERE revoked_at_s IS NULL

CREATE TABLE owned_secrets (
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  keys TEXT NOT NULL,
  sealed TEXT NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  updated_at_s DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (owner, name)
)

INSERT INTO owned_secrets (owner, name, keys, sealed, created_at_s, updated_at_s)
  SELECT 'owner', name, keys, sealed, created_at_s, updated_at_s FROM secrets

DROP TABLE secrets

ALTER TABLE owned_secrets RENAME TO secrets

CREATE TABLE owned_volumes (
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at_s DOUBLE PRECISION NOT NULL,
  size_bytes BIGINT NOT NULL,
  PRIMARY KEY (owner, name)
)

INSERT INTO owned_volumes (owner, name, created_at_s, size_bytes)
  SELECT 'owner', name, created_at_s, size_bytes FROM volumes

DROP TABLE volumes

ALTER TABLE owned_volumes RENAME TO volumes

-- Who may see what is kept once for everyone under the hash of its content: blobs, and the recipes of images.
CREATE TABLE holdings (
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (owner, kind, digest)
)

CREATE INDEX holdings_digest ON holdings (kind, digest)

INSERT INTO holdings (owner, kind, digest) SELECT 'owner', 'blob', digest FROM blobs

CREATE INDEX ledger_owner ON ledger (owner, ended_at_s)

-- Which control plane acts on this database. One row; `fence` outranks that of whoever sat here before.
CREATE TABLE seat (
  id INTEGER PRIMARY KEY NOT NULL,
  holder TEXT NOT NULL,
  place TEXT NOT NULL,
  fence BIGINT NOT NULL,
  until_s DOUBLE PRECISION NOT NULL
)

-- Notebooks name their cells: two may say the same name, and neither may touch the other's row.
CREATE TABLE contained_cells (
  container_id TEXT NOT NULL REFERENCES containers (id),
  id TEXT NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  status TEXT NOT NULL,
  code_digest TEXT NOT NULL,
  submitted_at_s DOUBLE PRECISION NOT NULL,
  started_at_s DOUBLE PRECISION NOT NULL,
  ended_at_s DOUBLE PRECISION,
  last_seq BIGINT NOT NULL,
  PRIMARY KEY (container_id, id)
)

INSERT INTO contained_cells
  (container_id, id, session_id, status, code_digest, submitted_at_s, started_at_s, ended_at_s, last_seq)
  SELECT container_id, id, session_id, status, code_digest, submitted_at_s, started_at_s, ended_at_s, last_seq
  FROM cells

DROP TABLE cells

ALTER TABLE contained_cells RENAME TO cells

CREATE INDEX cells_session ON cells (session_id, started_at_s)

CREATE INDEX cells_container ON cells (container_id, started_at_s)
