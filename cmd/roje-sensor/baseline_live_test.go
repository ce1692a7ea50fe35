package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestDecideSealed: a sensor that has given up all its rights still answers, and still writes what is decided.
func TestDecideSealed(t *testing.T) {
	span, _ := need.Veth(t)
	dir := folder(t)
	l := startWith(t, nil, dir, "phase: learn\n", span)
	l.says("watching")
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"baseline", "approve", "--state", filepath.Join(dir, "state"), "--who", "anna", "--why", "nothing yet"}, &out, &out); code != 0 {
		t.Errorf("%d %s", code, out.String())
	}
	l.says("the baseline was decided over", "order=approve", "anna")
	if code := execute(t.Context(), []string{"baseline", "versions", "--state", filepath.Join(dir, "state")}, &out, &out); code != 0 || !strings.Contains(out.String(), "nothing yet") {
		t.Errorf("%d %s", code, out.String())
	}
}
