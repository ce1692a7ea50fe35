package postgres

import (
	"context"
	"fmt"
	"strings"
)

// migrations lead from version i to i+1 of the schema; the table roje_schema says which one a database has. They are never
// changed, only added to. The tables are those of book.Tables, column by column; every key begins with the operator,
// sessions aside, so that the same schema can be distributed by it. Times are Unix nanoseconds. TEXT stands for text in
// the order of its bytes, whatever the database's own collation is.
var migrations = [...]string{`
CREATE TABLE operators (name TEXT NOT NULL PRIMARY KEY);

CREATE TABLE counters (
	operator TEXT NOT NULL, name TEXT NOT NULL, value bigint NOT NULL,
	PRIMARY KEY (operator, name)
);

CREATE TABLE streams (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane bigint NOT NULL,
	high bigint NOT NULL, head bytea NOT NULL, breaks bigint NOT NULL, offset_ns bigint NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane)
);

CREATE TABLE gaps (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane bigint NOT NULL,
	lo bigint NOT NULL, hi bigint NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane, lo)
);

CREATE TABLE envelopes (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane bigint NOT NULL,
	hi bigint NOT NULL, lo bigint NOT NULL, hash bytea NOT NULL, received bigint NOT NULL,
	PRIMARY KEY (operator, sensor, epoch, lane, hi)
);
CREATE INDEX envelopes_received ON envelopes (operator, received);

CREATE TABLE records (
	operator TEXT NOT NULL, n bigint NOT NULL,
	sensor TEXT NOT NULL, epoch TEXT NOT NULL, lane bigint NOT NULL, seq bigint NOT NULL,
	kind TEXT NOT NULL, received bigint NOT NULL, fault TEXT NOT NULL, body bytea NOT NULL,
	PRIMARY KEY (operator, received, n)
) PARTITION BY RANGE (received);
CREATE INDEX records_kind ON records (operator, kind, n);
CREATE INDEX records_sensor ON records (operator, kind, sensor, n);

CREATE TABLE alerts (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	arrived bigint NOT NULL, updated bigint NOT NULL,
	sensor TEXT NOT NULL, rule TEXT NOT NULL, severity bigint NOT NULL,
	first bigint NOT NULL, last bigint NOT NULL, count bigint NOT NULL,
	proto TEXT NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL, title TEXT NOT NULL, incident TEXT NOT NULL,
	status TEXT NOT NULL, status_by TEXT NOT NULL, status_at bigint,
	tlp TEXT NOT NULL, released bigint,
	body bytea NOT NULL, held boolean NOT NULL DEFAULT FALSE,
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
	operator TEXT NOT NULL, added bigint NOT NULL,
	alert TEXT NOT NULL, version bigint NOT NULL, created bigint NOT NULL,
	tlp TEXT NOT NULL, who TEXT NOT NULL, revoked boolean NOT NULL, latest boolean NOT NULL,
	sensor TEXT NOT NULL, body bytea NOT NULL,
	PRIMARY KEY (operator, added)
);
CREATE UNIQUE INDEX releases_alert ON releases (operator, alert, version);
CREATE INDEX releases_latest ON releases (operator, added) WHERE latest;

CREATE TABLE acts (
	operator TEXT NOT NULL, n bigint NOT NULL,
	at bigint NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,
	PRIMARY KEY (operator, n)
);
CREATE INDEX acts_object ON acts (operator, object, n);

CREATE TABLE tokens (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	secret bytea NOT NULL, site TEXT NOT NULL, who TEXT NOT NULL,
	created bigint NOT NULL, expires bigint NOT NULL, used bigint, sensor TEXT NOT NULL,
	PRIMARY KEY (operator, id)
);

CREATE TABLE sensors (
	operator TEXT NOT NULL, id TEXT NOT NULL,
	name TEXT NOT NULL, enrolled bigint NOT NULL, seen bigint, denied bigint,
	health bytea, alerts bigint NOT NULL, lost bigint NOT NULL,
	PRIMARY KEY (operator, id)
);

CREATE TABLE certs (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, serial TEXT NOT NULL,
	key TEXT NOT NULL, public bytea NOT NULL, issued bigint NOT NULL, expires bigint NOT NULL,
	PRIMARY KEY (operator, sensor, serial)
);

CREATE TABLE users (
	operator TEXT NOT NULL, name TEXT NOT NULL,
	role TEXT NOT NULL, hash TEXT NOT NULL, must_change boolean NOT NULL, disabled boolean NOT NULL,
	created bigint NOT NULL, signed_in bigint, language TEXT NOT NULL,
	PRIMARY KEY (operator, name)
);

CREATE TABLE sessions (
	token bytea NOT NULL PRIMARY KEY, data bytea NOT NULL, expiry bigint NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expiry);

DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['counters', 'streams', 'gaps', 'envelopes', 'records', 'alerts', 'releases', 'acts', 'tokens', 'sensors', 'certs', 'users'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY of_operator ON %I USING (operator = current_setting(''roje.operator'', true))', t);
	END LOOP;
END $$;
`, `
CREATE TABLE evidence (
	operator TEXT NOT NULL, alert TEXT NOT NULL,
	sensor TEXT NOT NULL, state TEXT NOT NULL, size bigint NOT NULL, have bigint NOT NULL,
	sha256 TEXT NOT NULL, who TEXT NOT NULL, at bigint NOT NULL, why TEXT NOT NULL,
	PRIMARY KEY (operator, alert)
);
CREATE INDEX evidence_wanted ON evidence (operator, sensor, state, at);

CREATE TABLE pieces (
	operator TEXT NOT NULL, alert TEXT NOT NULL, at bigint NOT NULL, data bytea NOT NULL,
	PRIMARY KEY (operator, alert, at)
);

ALTER TABLE evidence ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pieces ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_operator ON evidence USING (operator = current_setting('roje.operator', true));
CREATE POLICY of_operator ON pieces USING (operator = current_setting('roje.operator', true));
`, `
ALTER TABLE users ADD COLUMN subject TEXT NOT NULL DEFAULT '',
	ADD COLUMN ceiling TEXT NOT NULL DEFAULT '',
	ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN approve boolean NOT NULL DEFAULT FALSE;

CREATE TABLE joins (
	operator TEXT NOT NULL, token TEXT NOT NULL,
	key TEXT NOT NULL, words TEXT NOT NULL, name TEXT NOT NULL, remote TEXT NOT NULL, asked bigint NOT NULL,
	state TEXT NOT NULL, who TEXT NOT NULL, at bigint,
	PRIMARY KEY (operator, token)
);
ALTER TABLE joins ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_operator ON joins USING (operator = current_setting('roje.operator', true));
`, `
CREATE TABLE packs (
	operator TEXT NOT NULL, sha256 TEXT NOT NULL,
	kind TEXT NOT NULL, name TEXT NOT NULL, version bigint NOT NULL, size bigint NOT NULL, key TEXT NOT NULL,
	created bigint NOT NULL, expires bigint, sensors TEXT NOT NULL, who TEXT NOT NULL, at bigint NOT NULL, body bytea NOT NULL,
	PRIMARY KEY (operator, sha256)
);
CREATE UNIQUE INDEX packs_version ON packs (operator, kind, name, version);

CREATE TABLE assignments (
	operator TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL,
	pack TEXT NOT NULL, who TEXT NOT NULL, at bigint NOT NULL,
	PRIMARY KEY (operator, target, kind)
);

CREATE TABLE outcomes (
	operator TEXT NOT NULL, sensor TEXT NOT NULL, kind TEXT NOT NULL,
	pack TEXT NOT NULL, taken boolean NOT NULL, reason TEXT NOT NULL, why TEXT NOT NULL, at bigint NOT NULL,
	PRIMARY KEY (operator, sensor, kind)
);

CREATE TABLE campaigns (
	operator TEXT NOT NULL, n bigint NOT NULL,
	rule TEXT NOT NULL, technique TEXT NOT NULL, severity bigint NOT NULL,
	first bigint NOT NULL, last bigint NOT NULL, sites bigint NOT NULL, alerts bigint NOT NULL, updated bigint NOT NULL, into_n bigint NOT NULL,
	PRIMARY KEY (operator, n)
);
CREATE INDEX campaigns_rule ON campaigns (operator, rule, technique, last);
CREATE INDEX campaigns_sites ON campaigns (operator, sites, updated);

CREATE TABLE campaign_sites (
	operator TEXT NOT NULL, campaign bigint NOT NULL, sensor TEXT NOT NULL,
	first bigint NOT NULL, last bigint NOT NULL, alerts bigint NOT NULL,
	PRIMARY KEY (operator, campaign, sensor)
);

CREATE TABLE cases (
	operator TEXT NOT NULL, n bigint NOT NULL,
	title TEXT NOT NULL, state TEXT NOT NULL, verdict TEXT NOT NULL, owner TEXT NOT NULL,
	opened bigint NOT NULL, opened_by TEXT NOT NULL, updated bigint NOT NULL,
	PRIMARY KEY (operator, n)
);
CREATE INDEX cases_state ON cases (operator, state, n);

CREATE TABLE case_items (
	operator TEXT NOT NULL, case_n bigint NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL,
	who TEXT NOT NULL, at bigint NOT NULL,
	PRIMARY KEY (operator, case_n, kind, ref)
);
CREATE INDEX case_items_ref ON case_items (operator, kind, ref);

CREATE TABLE case_notes (
	operator TEXT NOT NULL, case_n bigint NOT NULL, n bigint NOT NULL,
	at bigint NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL,
	PRIMARY KEY (operator, case_n, n)
);

DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['packs', 'assignments', 'outcomes', 'campaigns', 'campaign_sites', 'cases', 'case_items', 'case_notes'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY of_operator ON %I USING (operator = current_setting(''roje.operator'', true))', t);
	END LOOP;
END $$;
`, `
CREATE TABLE leaves (
	operator TEXT NOT NULL, n bigint NOT NULL, leaf bytea NOT NULL,
	PRIMARY KEY (operator, n)
);

CREATE TABLE checkpoints (
	operator TEXT NOT NULL, n bigint NOT NULL, note bytea NOT NULL,
	PRIMARY KEY (operator, n)
);

CREATE TABLE secrets (
	operator TEXT NOT NULL, name TEXT NOT NULL, secret bytea NOT NULL,
	PRIMARY KEY (operator, name)
);

ALTER TABLE releases ADD COLUMN masked boolean NOT NULL DEFAULT FALSE;

DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['leaves', 'checkpoints', 'secrets'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY of_operator ON %I USING (operator = current_setting(''roje.operator'', true))', t);
	END LOOP;
END $$;
`, `
CREATE TABLE letters (
	operator TEXT NOT NULL, n bigint NOT NULL, at bigint NOT NULL, sender TEXT NOT NULL, kind TEXT NOT NULL, alert TEXT NOT NULL, tlp TEXT NOT NULL,
	text TEXT NOT NULL, language TEXT NOT NULL, pattern TEXT NOT NULL, state TEXT NOT NULL,
	who TEXT NOT NULL, answered bigint, answer TEXT NOT NULL, masked boolean NOT NULL,
	PRIMARY KEY (operator, n)
);
CREATE INDEX letters_state ON letters (operator, state, sender);
CREATE INDEX letters_alert ON letters (operator, alert);

ALTER TABLE releases ADD COLUMN kind TEXT NOT NULL DEFAULT '';
DROP INDEX releases_alert;
CREATE UNIQUE INDEX releases_alert ON releases (operator, kind, alert, version);

ALTER TABLE letters ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_operator ON letters USING (operator = current_setting('roje.operator', true));
`, `
ALTER TABLE users ADD COLUMN cert TEXT NOT NULL DEFAULT '', ADD COLUMN compare TEXT NOT NULL DEFAULT '';
`, `
ALTER TABLE alerts RENAME TO alert_rows;
ALTER INDEX alerts_pkey RENAME TO alert_rows_pkey;
ALTER INDEX alerts_arrived RENAME TO alert_rows_arrived;
ALTER INDEX alerts_last RENAME TO alert_rows_last;
ALTER INDEX alerts_severity RENAME TO alert_rows_severity;
ALTER INDEX alerts_status RENAME TO alert_rows_status;
ALTER INDEX alerts_rule RENAME TO alert_rows_rule;
ALTER INDEX alerts_sensor RENAME TO alert_rows_sensor;
ALTER INDEX alerts_incident RENAME TO alert_rows_incident;
ALTER INDEX alerts_released RENAME TO alert_rows_released;
DROP POLICY of_operator ON alert_rows;
ALTER TABLE alert_rows NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;

CREATE TABLE alerts (LIKE alert_rows INCLUDING DEFAULTS) PARTITION BY LIST (operator);
ALTER TABLE alerts ADD PRIMARY KEY (operator, id);
CREATE UNIQUE INDEX alerts_arrived ON alerts (operator, arrived);
CREATE INDEX alerts_last ON alerts (operator, last, arrived);
CREATE INDEX alerts_severity ON alerts (operator, severity, arrived);
CREATE INDEX alerts_status ON alerts (operator, status, arrived);
CREATE INDEX alerts_rule ON alerts (operator, rule, arrived);
CREATE INDEX alerts_sensor ON alerts (operator, sensor, arrived);
CREATE INDEX alerts_incident ON alerts (operator, incident, arrived) WHERE incident != '';
CREATE INDEX alerts_released ON alerts (operator, arrived) WHERE released IS NOT NULL;
ALTER TABLE alerts ATTACH PARTITION alert_rows DEFAULT;
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_operator ON alerts USING (operator = current_setting('roje.operator', true));

ALTER TABLE alert_rows ADD CONSTRAINT of_operator CHECK (operator = coalesce(current_setting('roje.operator', true), '')) NOT VALID;
REVOKE ALL ON alert_rows FROM CURRENT_USER;
GRANT INSERT ON alert_rows TO CURRENT_USER;
`}

// One collector at a time changes the schema, and one makes a day's partition: these are the locks.
const (
	lockSchema = 0x726f6a65_01
	lockDays   = 0x726f6a65_02
)

// migrate brings the schema up to date, which is by steps; one of a newer version is refused.
func migrate(ctx context.Context, c *conn, steps []string) (err error) {
	run := func(text string) {
		if err == nil {
			err = c.run(ctx, text)
		}
	}
	run("BEGIN")
	run(fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockSchema))
	run("CREATE TABLE IF NOT EXISTS roje_schema (version bigint NOT NULL)")
	var have int
	if err == nil {
		err = c.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM roje_schema").Scan(&have)
	}
	if err == nil && have > len(steps) {
		err = fmt.Errorf("the store has version %d, this program knows up to %d: use a newer roje-collector", have, len(steps))
	}
	for v := have; err == nil && v < len(steps); v++ {
		run(strings.ReplaceAll(steps[v], " TEXT", ` text COLLATE "C"`))
		run(fmt.Sprintf("INSERT INTO roje_schema (version) VALUES (%d)", v+1))
		if err != nil {
			err = fmt.Errorf("migrate to version %d: %w", v+1, err)
		}
	}
	run("COMMIT")
	if err != nil {
		c.run(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// check refuses a role that row-level security does not bind.
func check(ctx context.Context, c *conn) error {
	var name string
	var free bool
	err := c.QueryRow(ctx, "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").Scan(&name, &free)
	if err == nil && free {
		err = fmt.Errorf("role %s bypasses row-level security, so operators would not be kept apart: use a role without SUPERUSER and BYPASSRLS that owns the database", name)
	}
	return err
}
