package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// across are the statements that may work for all operators at once, each by its beginning and with its reason.
var across = map[string]string{
	"SELECT data FROM sessions":        "the key is a secret of 256 bits, which nobody can guess across operators",
	"INSERT INTO sessions":             "as above",
	"DELETE FROM sessions":             "as above, and ended sessions are of nobody",
	"SELECT count(*) FROM (SELECT 1 F": "whether the file can be read",
	"SELECT EXISTS (SELECT FROM op":    "whether the whole store is empty, before it is loaded",
	"CREATE TABLE NAME (LIKE records":  "a day's partition has the rows of all operators, and the policy",
	"SELECT DISTINCT operator FROM":    "which operators a file holds that should hold none",
	"BEGIN; SET LOCAL lock_timeout":    "a day's partition is dropped if no operator has a row in it",
}

// operatorTables are the tables of a migration whose rows are of an operator, and the others.
func operatorTables(t *testing.T, file string) (scoped []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`CREATE TABLE (\w+) \(\s*(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if m[2] == "operator" {
			scoped = append(scoped, m[1])
		}
	}
	return scoped
}

// TestEveryStatementNamesItsOperator reads the statements of all stores out of their source: whatever text of it names
// a table that is kept by operator must ask for the operator too, or be on the list above.
func TestEveryStatementNamesItsOperator(t *testing.T) {
	for _, c := range []struct {
		folder, schema string
		least          int // statements that are there at least, or the reader has gone blind
	}{
		{"book", "sqlite/schema.go", 25},
		{"sqlite", "sqlite/schema.go", 15},
		{"postgres", "postgres/schema.go", 15},
	} {
		scoped := operatorTables(t, c.schema)
		if len(scoped) < 12 || slices.Contains(scoped, "sessions") {
			t.Fatalf("%s: tables kept by operator: %v", c.schema, scoped)
		}
		if c.folder == "postgres" {
			scoped = append(scoped, "alert_rows") // a partition, once called alerts
		}
		names := regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO|COPY|TABLE|ONLY) (` + strings.Join(scoped, "|") + `|sessions)\b`)
		n := 0
		for _, s := range statements(t, c.folder) {
			if assembled.MatchString(s.text) && !slices.Contains(assemblers, s.file) {
				t.Errorf("%s: a statement whose table is not written in it: %s", s.where, s.text)
			}
			found := names.FindStringSubmatch(s.text)
			if found == nil {
				continue
			}
			n++
			if !asks.MatchString(s.text) && !listed(s.text) {
				t.Errorf("%s: a statement without an operator: %s", s.where, s.text)
			}
		}
		if n < c.least {
			t.Errorf("%s: only %d statements were read, want at least %d", c.folder, n, c.least)
		}
	}
}

// asks is how a statement asks for its operator: by a condition (upon an argument, or upon the row around it), by a where that scopedWhere began, or as the first
// column that it writes.
var asks = regexp.MustCompile(`\boperator = (\?|\$1|alerts\.operator|sensors\.operator)|w\.String|(?:INSERT (?:OR IGNORE )?INTO|COPY) \w+ \(operator, `)

// assembled is a statement whose table is put in while the program runs. Only these files may have such, where whole
// tables are moved to another engine or file, and where partitions are made and dropped.
var assembled = regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO|COPY|TABLE|ONLY) *«`)

var assemblers = []string{"book/tables.go", "postgres/days.go", "sqlite/split.go"}

func listed(text string) bool {
	for begin := range across {
		if strings.HasPrefix(strings.Join(strings.Fields(text), " "), begin) {
			return true
		}
	}
	return false
}

type statement struct{ file, where, text string }

// statements are the texts of a package's source: sums of literals and constants are one text, what is no literal in them
// stands as it is written.
func statements(t *testing.T, folder string) (all []statement) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	constants := map[string]ast.Expr{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || filepath.Base(name) == "schema.go" {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
				for i := range v.Names {
					constants[v.Names[i].Name] = v.Values[i]
				}
			}
			return true
		})
	}
	var text func(ast.Expr, int) string
	text = func(e ast.Expr, deep int) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				return s
			}
		case *ast.BinaryExpr:
			return text(e.X, deep) + text(e.Y, deep)
		case *ast.ParenExpr:
			return text(e.X, deep)
		case *ast.Ident:
			if c := constants[e.Name]; c != nil && deep < 3 {
				return text(c, deep+1)
			}
			return " «" + e.Name + "» "
		case *ast.SelectorExpr:
			return " «" + e.Sel.Name + "» "
		case *ast.CallExpr:
			if s, ok := e.Fun.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					return " " + x.Name + "." + s.Sel.Name + " "
				}
			}
		}
		return ""
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.BinaryExpr:
				if n.Op == token.ADD {
					all = append(all, statement{set.Position(n.Pos()).Filename, set.Position(n.Pos()).String(), text(n, 0)})
					return false
				}
			case *ast.BasicLit:
				all = append(all, statement{set.Position(n.Pos()).Filename, set.Position(n.Pos()).String(), text(n, 0)})
			}
			return true
		})
	}
	return all
}

// TestTheReaderOfStatements holds that the test above sees what it is there to see.
func TestTheReaderOfStatements(t *testing.T) {
	dir := t.TempDir()
	source := "package x\nconst columns = `id, body`\nfunc f() {\n\tq(`SELECT `+columns+` FROM alerts WHERE id = ?`)\n\tq(\"DELETE FROM alerts\")\n\tq(`SELECT 1 FROM alerts WHERE operator = ?`)\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	var unscoped []string
	for _, s := range statements(t, dir) {
		if strings.Contains(s.text, "FROM alerts") && !asks.MatchString(s.text) {
			unscoped = append(unscoped, s.text)
		}
	}
	want := []string{"SELECT id, body FROM alerts WHERE id = ?", "DELETE FROM alerts"}
	if !slices.Equal(unscoped, want) {
		t.Errorf("got %q, want %q", unscoped, want)
	}
}
