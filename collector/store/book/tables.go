package book

import (
	"context"
	"fmt"
	"strings"
)

// A Kind is what a column holds. A value is an int64, a string, a []byte or a bool, or nil.
type Kind byte

// The kinds, as Tables writes them.
const (
	Int   Kind = 'n'
	Text  Kind = 't'
	Bytes Kind = 'b'
	Bool  Kind = 'y'
)

// A Table is one that every store has.
type Table struct {
	Name    string
	Columns []string
	Kinds   []Kind // by column
	Key     int    // how many of the columns, from the first, tell rows apart: they are read in that order
}

// Scoped says whether the rows are of an operator, which is the first column then.
func (t *Table) Scoped() bool { return t.Columns[0] == "operator" }

// Tables are the tables of every store. A test holds them against the schemas.
var Tables = []Table{
	table("counters", 2, "operator:t name:t value:n"),
	table("streams", 4, "operator:t sensor:t epoch:t lane:n high:n head:b breaks:n offset_ns:n"),
	table("gaps", 5, "operator:t sensor:t epoch:t lane:n lo:n hi:n"),
	table("envelopes", 5, "operator:t sensor:t epoch:t lane:n hi:n lo:n hash:b received:n"),
	table("records", 2, "operator:t n:n sensor:t epoch:t lane:n seq:n kind:t received:n fault:t body:b"),
	table("alerts", 2, "operator:t id:t arrived:n updated:n sensor:t rule:t severity:n first:n last:n count:n proto:t client:t server:t title:t incident:t "+
		"status:t status_by:t status_at:n tlp:t released:n body:b held:y"),
	table("evidence", 2, "operator:t alert:t sensor:t state:t size:n have:n sha256:t who:t at:n why:t"),
	table("pieces", 3, "operator:t alert:t at:n data:b"),
	table("releases", 2, "operator:t added:n alert:t version:n created:n tlp:t who:t revoked:y latest:y sensor:t body:b masked:y kind:t"),
	table("letters", 2, "operator:t n:n at:n sender:t kind:t alert:t tlp:t text:t language:t pattern:t state:t who:t answered:n answer:t masked:y"),
	table("leaves", 2, "operator:t n:n leaf:b"),
	table("checkpoints", 2, "operator:t n:n note:b"),
	table("secrets", 2, "operator:t name:t secret:b"),
	table("acts", 2, "operator:t n:n at:n who:t what:t object:t detail:t"),
	table("tokens", 2, "operator:t id:t secret:b site:t who:t created:n expires:n used:n sensor:t approve:y"),
	table("joins", 2, "operator:t token:t key:t words:t name:t remote:t asked:n state:t who:t at:n"),
	table("sensors", 2, "operator:t id:t name:t enrolled:n seen:n denied:n health:b alerts:n lost:n"),
	table("certs", 3, "operator:t sensor:t serial:t key:t public:b issued:n expires:n"),
	table("users", 2, "operator:t name:t role:t hash:t must_change:y disabled:y created:n signed_in:n language:t subject:t ceiling:t proof:t cert:t compare:t"),
	table("packs", 2, "operator:t sha256:t kind:t name:t version:n size:n key:t created:n expires:n sensors:t who:t at:n body:b"),
	table("assignments", 3, "operator:t target:t kind:t pack:t who:t at:n"),
	table("outcomes", 3, "operator:t sensor:t kind:t pack:t taken:y reason:t why:t at:n"),
	table("campaigns", 2, "operator:t n:n rule:t technique:t severity:n first:n last:n sites:n alerts:n updated:n into_n:n"),
	table("campaign_sites", 3, "operator:t campaign:n sensor:t first:n last:n alerts:n"),
	table("cases", 2, "operator:t n:n title:t state:t verdict:t owner:t opened:n opened_by:t updated:n"),
	table("case_items", 4, "operator:t case_n:n kind:t ref:t who:t at:n"),
	table("case_notes", 3, "operator:t case_n:n n:n at:n who:t text:t"),
	table("sessions", 1, "token:b data:b expiry:n"),
}

func table(name string, key int, columns string) Table {
	t := Table{Name: name, Key: key}
	for _, c := range strings.Fields(columns) {
		column, kind, _ := strings.Cut(c, ":")
		t.Columns, t.Kinds = append(t.Columns, column), append(t.Kinds, Kind(kind[0]))
	}
	return t
}

// Read is the statement that reads the whole table, or the rows of the operator that is its argument.
func (t *Table) Read(ofOperator bool) string {
	where := ""
	if ofOperator {
		where = " WHERE operator = ?"
	}
	return "SELECT " + strings.Join(t.Columns, ", ") + " FROM " + t.Name + where + " ORDER BY " + strings.Join(t.Columns[:t.Key], ", ")
}

// Write is the statement that writes a row.
func (t *Table) Write() string {
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")"
}

// Any is a statement that says how many rows there are, up to one.
func (t *Table) Any() string { return "SELECT count(*) FROM (SELECT 1 FROM " + t.Name + " LIMIT 1) a" }

// A Mover is a store whose whole content can be read and written, of all operators: it is how a store moves to another
// engine. What it does crosses operators, and nothing that serves people uses it.
type Mover interface {
	// Dump gives every row, in one snapshot, by operator (in some stores) and table. row is good for the call.
	Dump(ctx context.Context, each func(t *Table, row []any) error) error
	// Load has fill put rows into the store, which must be empty: all of them or, with an error, none.
	Load(ctx context.Context, fill func(put func(t *Table, row []any) error) error) error
}

// Move copies everything from one store to another, empty one, and returns how many rows of each table it was.
func Move(ctx context.Context, from, to Mover) (map[string]int, error) {
	rows := map[string]int{}
	err := to.Load(ctx, func(put func(*Table, []any) error) error {
		return from.Dump(ctx, func(t *Table, row []any) error {
			rows[t.Name]++
			if err := put(t, row); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("move the store: %w", err)
	}
	return rows, nil
}
