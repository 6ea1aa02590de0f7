/**
 * The store's schema, as the list of changes that made it. Forward only: a migration that has been released is never edited (a
 * checksum refuses that); a change is a new one at the end.
 *
 * The SQL is what SQLite, libSQL and PostgreSQL have in common: ids are hex text, keys and signatures base64url text, lists JSON
 * text, times BIGINT Unix milliseconds, flags derived from nullable times.
 */

export interface Migration {
  readonly id: number
  readonly name: string
  readonly statements: ReadonlyArray<string>
}

export const migrations: ReadonlyArray<Migration> = [
  {
    id: 1,
    name: "first-form",
    statements: [
      `CREATE TABLE admin_tokens (
        id TEXT NOT NULL PRIMARY KEY,
        prefix TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        revoked_ms BIGINT
      )`,
      `CREATE INDEX admin_tokens_by_prefix ON admin_tokens (prefix)`,
      `CREATE TABLE registration_keys (
        id TEXT NOT NULL PRIMARY KEY,
        prefix TEXT NOT NULL UNIQUE,
        sha256 TEXT NOT NULL,
        label TEXT NOT NULL,
        tags TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        expires_ms BIGINT,
        revoked_ms BIGINT,
        uses_max BIGINT,
        uses BIGINT NOT NULL
      )`,
      `CREATE TABLE servers (
        id TEXT NOT NULL PRIMARY KEY,
        public_key TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        address TEXT NOT NULL,
        port BIGINT NOT NULL,
        region TEXT NOT NULL,
        capacity BIGINT NOT NULL,
        capabilities TEXT NOT NULL,
        tags TEXT NOT NULL,
        registration_key_id TEXT NOT NULL,
        signature TEXT NOT NULL,
        registered_ms BIGINT NOT NULL,
        proved_ms BIGINT NOT NULL,
        session TEXT,
        counter BIGINT NOT NULL,
        last_heard_ms BIGINT NOT NULL,
        status TEXT NOT NULL,
        metrics TEXT,
        deregistered_ms BIGINT,
        revoked_ms BIGINT
      )`,
      `CREATE INDEX servers_by_kind ON servers (kind, id)`,
      `CREATE INDEX servers_by_status ON servers (status, last_heard_ms)`,
      `CREATE TABLE challenges (
        id TEXT NOT NULL PRIMARY KEY,
        challenge TEXT NOT NULL,
        public_key TEXT NOT NULL,
        declaration TEXT NOT NULL,
        registration_key_id TEXT NOT NULL,
        expires_ms BIGINT NOT NULL
      )`,
      `CREATE INDEX challenges_by_expiry ON challenges (expires_ms)`,
      `CREATE TABLE personal_keys (
        id TEXT NOT NULL PRIMARY KEY,
        prefix TEXT NOT NULL UNIQUE,
        sha256 TEXT NOT NULL,
        label TEXT NOT NULL,
        user_name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        rights BIGINT NOT NULL,
        devices_max BIGINT NOT NULL,
        created_ms BIGINT NOT NULL,
        expires_ms BIGINT,
        revoked_ms BIGINT,
        last_used_ms BIGINT
      )`,
      `CREATE TABLE devices (
        personal_key_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        public_key TEXT NOT NULL,
        first_ms BIGINT NOT NULL,
        PRIMARY KEY (personal_key_id, device_id)
      )`,
      `CREATE TABLE tickets (
        id TEXT NOT NULL PRIMARY KEY,
        personal_key_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        server_id TEXT NOT NULL,
        issued_ms BIGINT NOT NULL,
        expires_ms BIGINT NOT NULL,
        revocation BIGINT
      )`,
      `CREATE INDEX tickets_by_key ON tickets (personal_key_id, expires_ms)`,
      `CREATE INDEX tickets_by_server ON tickets (server_id, revocation)`,
      `CREATE INDEX tickets_by_expiry ON tickets (expires_ms)`,
      `CREATE TABLE sequences (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)`,
      `INSERT INTO sequences (name, value) VALUES ('revocation', 0)`,
      `CREATE TABLE connections (
        id TEXT NOT NULL PRIMARY KEY,
        server_id TEXT NOT NULL,
        connection_id BIGINT NOT NULL,
        opened_ms BIGINT NOT NULL,
        device_id TEXT NOT NULL,
        user_name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        address TEXT NOT NULL,
        port BIGINT NOT NULL,
        state TEXT NOT NULL,
        reported_ms BIGINT NOT NULL,
        last_seen_ms BIGINT NOT NULL,
        closed_ms BIGINT,
        reason TEXT NOT NULL,
        bytes_in BIGINT NOT NULL,
        bytes_out BIGINT NOT NULL,
        UNIQUE (server_id, connection_id, opened_ms)
      )`,
      `CREATE INDEX connections_by_state ON connections (state, last_seen_ms)`,
      `CREATE INDEX connections_by_server ON connections (server_id, id)`,
      `CREATE INDEX connections_by_closing ON connections (closed_ms)`
    ]
  },
  {
    id: 2,
    name: "server-fingerprints",
    statements: [
      `ALTER TABLE servers ADD COLUMN fingerprint TEXT`,
      `ALTER TABLE servers ADD COLUMN fingerprint_told_ms BIGINT`,
      `ALTER TABLE servers ADD COLUMN fingerprint_change TEXT`,
      `ALTER TABLE servers ADD COLUMN fingerprint_changed_ms BIGINT`
    ]
  }
]
