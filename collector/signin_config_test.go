package collector

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSignInConfig holds the settings of docs/users.md to be settings, and what is wrong to be said with a hint.
func TestSignInConfig(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "oidc-secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(text string) error {
		t.Helper()
		path := filepath.Join(dir, "collector.yaml")
		if err := os.WriteFile(path, []byte("data: "+dir+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := ReadConfig(path)
		if err == nil {
			err = cfg.complete()
		}
		return err
	}
	text, err := os.ReadFile("../docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?m)^    # collector\.yaml\n((?:    .*\n)+)`).FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d settings in docs/users.md, want 3", len(blocks))
	}
	for _, b := range blocks {
		yaml := strings.ReplaceAll("\n"+b[1], "\n    ", "\n")
		if err := read(yaml); err != nil {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	for text, says := range map[string]string{
		"sign_in: {second_facter: [admin]}":    `did you mean "second_factor"`,
		"sign_in: {second_factor: [admn]}":     `did you mean "admin"`,
		"sign_in: {second_factor: [cert]}":     "unknown role of people",
		"enrolment: {aprove: true}":            `did you mean "approve"`,
		"sign_in: {oidc: {isuer: x}}":          `did you mean "issuer"`,
		"sign_in: {oidc: {name: x}}":           "client_id",
		"sign_in: {oidc: {roles: [{grp: x}]}}": `did you mean "group"`,
	} {
		if err := read(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", text, err, says)
		}
	}
}
