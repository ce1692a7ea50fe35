package catalog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// defects are what was found wrong in other decoders by reading them, each with the tests here that would fail if ours
// had it. Tests are named by package folder and function.
var defects = []struct {
	n     int
	what  string
	tests []string
}{
	{1, "a link-only frame eats the frame behind it, and the rest of the segment is dropped", []string{"protocols/dnp3 TestPeerDefect01LinkOnlyFrameBeforeOperate"}},
	{2, "one bad checksum ends the analysis of the connection", []string{"protocols/dnp3 TestPeerDefect02BadChecksumThenGoodFrames"}},
	{3, "who opened the TCP connection is taken for the master", []string{"protocols/dnp3 TestPeerDefect03OutstationOpens"}},
	{4, "objects without a row are empty, and their bytes are read as headers", []string{"protocols/dnp3 TestPeerDefect04AnalogOutputsThenRead"}},
	{5, "no link addresses; unsolicited data and unknown objects leave no trace", []string{"protocols/dnp3 TestPeerDefect05TwoOutstationsOnOneSocket"}},
	{6, "wrong and missing words for the status of a control", []string{"protocols/dnp3 TestPeerDefect06ControlStatus"}},
	{7, "requests keyed by transaction alone; any closed connection clears the state of all", []string{"protocols/modbus TestPeerDefect07"}},
	{8, "a file reply of several records loses step; functions 7, 11, 12 and 17 are not read", []string{"protocols/modbus TestPeerDefect08"}},
	{9, "a last segment of one to three bytes turns the parser off", []string{"protocols/dnp3 TestPeerDefect09LastSegmentOfOneByte"}},
	{10, "CONFIRM, link functions and UDP are ignored; answers are joined to nothing", []string{"protocols/dnp3 TestPeerDefect10ConfirmAndDatagrams"}},
	{11, "function 131 is called reserved in every authentication", []string{"protocols/dnp3 TestPeerDefect11AuthenticationIsQuiet"}},
	{12, "link addresses are looked at with their bytes swapped", []string{"protocols/dnp3 TestPeerDefect12ReservedAddresses"}},
	{13, "no reassembly; each connection learns anew; private types are never told", []string{"protocols/iec104 TestPeerDefect13", "sensor TestLabActs", "sensor/baseline TestAttacks"}},
	{14, "a function code is read from continuation segments; one odd MBAP header unregisters the parser",
		[]string{"protocols/dnp3 TestPeerDefect14ContinuationSegment", "protocols/modbus TestPeerDefect14"}},
	{15, "any 0x68 is a start; sizes are fixed at 2/2/3; types 104, 106, 126 and 127 stay raw", []string{"protocols/iec104 TestPeerDefect15"}},
	{16, "rules at fixed offsets miss what lies behind a block check or in a second segment", []string{"protocols/dnp3 TestPeerDefect16CommandInSecondBlock"}},
}

// TestPeerDefects: every defect has its tests, under these names, and each of them can fail; and no test of a defect is
// missing in the table.
func TestPeerDefects(t *testing.T) {
	found := map[string]bool{} // by folder and name: whether it can fail
	for _, folder := range []string{"protocols/dnp3", "protocols/modbus", "protocols/iec104", "sensor", "sensor/baseline"} {
		for name, fails := range testsIn(t, folder) {
			found[folder+" "+name] = fails
		}
	}
	listed := map[string]bool{}
	for i, d := range defects {
		if d.n != i+1 || d.what == "" || len(d.tests) == 0 {
			t.Errorf("row %d of the table is of defect %d, with %d tests", i+1, d.n, len(d.tests))
		}
		for _, name := range d.tests {
			listed[name] = true
			if fails, ok := found[name]; !ok || !fails {
				t.Errorf("defect %d (%s): test %q is there: %v; it can fail: %v", d.n, d.what, name, ok, fails)
			}
		}
	}
	if len(defects) != 16 {
		t.Errorf("%d defects in the table, want 16", len(defects))
	}
	for name := range found {
		if strings.Contains(name, "TestPeerDefect") && !listed[name] {
			t.Errorf("%s is in no row of the table", name)
		}
	}
}

// testsIn returns the tests of a package by name, and whether each hands its t on or fails it.
func testsIn(t *testing.T, folder string) map[string]bool {
	tests := map[string]bool{}
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", folder, err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = canFail(f.Body)
			}
		}
	}
	return tests
}

// canFail says whether a test calls t.Error or its like, or gives t to a helper.
func canFail(body *ast.BlockStmt) (can bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := f.X.(*ast.Ident); ok && x.Name == "t" && (strings.HasPrefix(f.Sel.Name, "Error") || strings.HasPrefix(f.Sel.Name, "Fatal")) {
				can = true
			}
		}
		for _, a := range call.Args {
			if x, ok := a.(*ast.Ident); ok && x.Name == "t" {
				can = true
			}
		}
		return true
	})
	return can
}
