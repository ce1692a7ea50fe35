package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations lead from version i to i+1 of the schema; PRAGMA user_version says which one a file has. They are never
// changed, only added to. Every key begins with the operator, sessions aside. Times are Unix nanoseconds.
var migrations = [...]string{`
CREATE TABLE counters (
	operator TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
	PRIMARY KEY (operator, name)
) WITHOUT ROWID;

CREATE TABLE streams (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane INTEGER NOT NULL,
	high INTEGER NOT NULL, head BLOB NOT NULL, breaks INTEGER NOT NULL, offset_ns INTEGER NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane)
) WITHOUT ROWID;

CREATE TABLE gaps (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane INTEGER NOT NULL,
	lo INTEGER NOT NULL, hi INTEGER NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane, lo)
) WITHOUT ROWID;

CREATE TABLE envelopes (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane INTEGER NOT NULL,
	hi INTEGER NOT NULL, lo INTEGER NOT NULL, hash BLOB NOT NULL, received INTEGER NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane, hi)
) WITHOUT ROWID;

CREATE TABLE records (
	operator TEXT NOT NULL, n INTEGER NOT NULL,
	sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL,
	kind TEXT NOT NULL, received INTEGER NOT NULL, fault TEXT NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;
CREATE INDEX records_kind ON records (operator, kind, n);
CREATE INDEX records_sensor ON records (operator, kind, sensor, n);

CREATE TABLE alerts (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	arrived INTEGER NOT NULL, updated INTEGER NOT NULL,
	sensor TEXT NOT NULL, rule TEXT NOT NULL, severity INTEGER NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
	proto TEXT NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL, title TEXT NOT NULL, incident TEXT NOT NULL,
	status TEXT NOT NULL, status_by TEXT NOT NULL, status_at INTEGER,
	tlp TEXT NOT NULL, released INTEGER,
	body BLOB NOT NULL,
	PRIMARY KEY (operator, id)
);
CREATE UNIQUE INDEX alerts_arrived ON alerts (operator, arrived);
CREATE INDEX alerts_last ON alerts (operator, last, arrived);
CREATE INDEX alerts_severity ON alerts (operator, severity, arrived);
CREATE INDEX alerts_status ON alerts (operator, status, arrived);
CREATE INDEX alerts_rule ON alerts (operator, rule, arrived);
CREATE INDEX alerts_sensor ON alerts (operator, sensor, arrived);
CREATE INDEX alerts_incident ON alerts (operator, incident, arrived) WHERE incident != '';
CREATE INDEX alerts_released ON alerts (operator, arrived) WHERE released IS NOT NULL;

CREATE TABLE releases (
	operator TEXT NOT NULL, added INTEGER NOT NULL,
	alert TEXT NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
	tlp TEXT NOT NULL, who TEXT NOT NULL, revoked INTEGER NOT NULL, latest INTEGER NOT NULL,
	sensor TEXT NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (operator, added)
) WITHOUT ROWID;
CREATE UNIQUE INDEX releases_alert ON releases (operator, alert, version);
CREATE INDEX releases_latest ON releases (operator, added) WHERE latest;

CREATE TABLE acts (
	operator TEXT NOT NULL, n INTEGER NOT NULL,
	at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;
CREATE INDEX acts_object ON acts (operator, object, n);

CREATE TABLE tokens (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	secret BLOB NOT NULL, site TEXT NOT NULL, who TEXT NOT NULL,
	created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER, sensor TEXT NOT NULL,
	PRIMARY KEY (operator, id)
) WITHOUT ROWID;

CREATE TABLE sensors (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	name TEXT NOT NULL, enrolled INTEGER NOT NULL, seen INTEGER, denied INTEGER,
	health BLOB, alerts INTEGER NOT NULL, lost INTEGER NOT NULL,
	PRIMARY KEY (operator, id)
) WITHOUT ROWID;

CREATE TABLE certs (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, serial TEXT NOT NULL,
	key TEXT NOT NULL, public BLOB NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL,
	PRIMARY KEY (operator, sensor, serial)
) WITHOUT ROWID;

CREATE TABLE users (
	operator TEXT NOT NULL, name TEXT NOT NULL,
	role TEXT NOT NULL, hash TEXT NOT NULL, must_change INTEGER NOT NULL, disabled INTEGER NOT NULL,
	created INTEGER NOT NULL, signed_in INTEGER, language TEXT NOT NULL,
	PRIMARY KEY (operator, name)
) WITHOUT ROWID;

CREATE TABLE sessions (
	token BLOB NOT NULL PRIMARY KEY, data BLOB NOT NULL, expiry INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_expiry ON sessions (expiry);
`, `
ALTER TABLE alerts ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX envelopes_received ON envelopes (operator, received);
CREATE INDEX records_received ON records (operator, received);
`, `
CREATE TABLE evidence (
	operator TEXT NOT NULL, alert TEXT NOT NULL,
	sensor TEXT NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL, have INTEGER NOT NULL,
	sha256 TEXT NOT NULL, who TEXT NOT NULL, at INTEGER NOT NULL, why TEXT NOT NULL,
	PRIMARY KEY (operator, alert)
) WITHOUT ROWID;
CREATE INDEX evidence_wanted ON evidence (operator, sensor, state, at);

CREATE TABLE pieces (
	operator TEXT NOT NULL, alert TEXT NOT NULL, at INTEGER NOT NULL, data BLOB NOT NULL,
	PRIMARY KEY (operator, alert, at)
);
`, `
ALTER TABLE users ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN ceiling TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN approve INTEGER NOT NULL DEFAULT 0;

CREATE TABLE joins (
	operator TEXT NOT NULL, token TEXT NOT NULL,
	key TEXT NOT NULL, words TEXT NOT NULL, name TEXT NOT NULL, remote TEXT NOT NULL, asked INTEGER NOT NULL,
	state TEXT NOT NULL, who TEXT NOT NULL, at INTEGER,
	PRIMARY KEY (operator, token)
) WITHOUT ROWID;
`, `
CREATE TABLE packs (
	operator TEXT NOT NULL, sha256 TEXT NOT NULL,
	kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, size INTEGER NOT NULL, key TEXT NOT NULL,
	created INTEGER NOT NULL, expires INTEGER, sensors TEXT NOT NULL, who TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (operator, sha256)
);
CREATE UNIQUE INDEX packs_version ON packs (operator, kind, name, version);

CREATE TABLE assignments (
	operator TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL,
	pack TEXT NOT NULL, who TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (operator, target, kind)
) WITHOUT ROWID;

CREATE TABLE outcomes (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, kind TEXT NOT NULL,
	pack TEXT NOT NULL, taken INTEGER NOT NULL, reason TEXT NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (operator, sensor, kind)
) WITHOUT ROWID;

CREATE TABLE campaigns (
	operator TEXT NOT NULL, n INTEGER NOT NULL,
	rule TEXT NOT NULL, technique TEXT NOT NULL, severity INTEGER NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, sites INTEGER NOT NULL, alerts INTEGER NOT NULL, updated INTEGER NOT NULL, into_n INTEGER NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;
CREATE INDEX campaigns_rule ON campaigns (operator, rule, technique, last);
CREATE INDEX campaigns_sites ON campaigns (operator, sites, updated);

CREATE TABLE campaign_sites (
	operator TEXT NOT NULL, campaign INTEGER NOT NULL, sensor TEXT NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, alerts INTEGER NOT NULL,
	PRIMARY KEY (operator, campaign, sensor)
) WITHOUT ROWID;

CREATE TABLE cases (
	operator TEXT NOT NULL, n INTEGER NOT NULL,
	title TEXT NOT NULL, state TEXT NOT NULL, verdict TEXT NOT NULL, owner TEXT NOT NULL,
	opened INTEGER NOT NULL, opened_by TEXT NOT NULL, updated INTEGER NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;
CREATE INDEX cases_state ON cases (operator, state, n);

CREATE TABLE case_items (
	operator TEXT NOT NULL, case_n INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL,
	who TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (operator, case_n, kind, ref)
) WITHOUT ROWID;
CREATE INDEX case_items_ref ON case_items (operator, kind, ref);

CREATE TABLE case_notes (
	operator TEXT NOT NULL, case_n INTEGER NOT NULL, n INTEGER NOT NULL,
	at INTEGER NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL,
	PRIMARY KEY (operator, case_n, n)
) WITHOUT ROWID;
`, `
CREATE TABLE leaves (
	operator TEXT NOT NULL, n INTEGER NOT NULL, leaf BLOB NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
	operator TEXT NOT NULL, n INTEGER NOT NULL, note BLOB NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;

CREATE TABLE secrets (
	operator TEXT NOT NULL, name TEXT NOT NULL, secret BLOB NOT NULL,
	PRIMARY KEY (operator, name)
) WITHOUT ROWID;

ALTER TABLE releases ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
`, `
CREATE TABLE letters (
	operator TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, sender TEXT NOT NULL, kind TEXT NOT NULL, alert TEXT NOT NULL, tlp TEXT NOT NULL,
	text TEXT NOT NULL, language TEXT NOT NULL, pattern TEXT NOT NULL, state TEXT NOT NULL,
	who TEXT NOT NULL, answered INTEGER, answer TEXT NOT NULL, masked INTEGER NOT NULL,
	PRIMARY KEY (operator, n)
) WITHOUT ROWID;
CREATE INDEX letters_state ON letters (operator, state, sender);
CREATE INDEX letters_alert ON letters (operator, alert);

ALTER TABLE releases ADD COLUMN kind TEXT NOT NULL DEFAULT '';
DROP INDEX releases_alert;
CREATE UNIQUE INDEX releases_alert ON releases (operator, kind, alert, version);
`, `
ALTER TABLE users ADD COLUMN cert TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN compare TEXT NOT NULL DEFAULT '';
`}

// migrate brings the file's schema up to date; a file of a newer version is refused.
func migrate(conn *sql.Conn) error {
	ctx := context.Background()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var have int
	err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have)
	if err == nil && have > len(migrations) {
		err = fmt.Errorf("the store has version %d, this program knows up to %d: use a newer roje-collector", have, len(migrations))
	}
	for v := have; err == nil && v < len(migrations); v++ {
		if _, err = conn.ExecContext(ctx, migrations[v]); err == nil {
			_, err = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", v+1))
		}
		if err != nil {
			err = fmt.Errorf("migrate to version %d: %w", v+1, err)
		}
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}
