// Command generate makes static/live.js from live.ts. It runs in collector/console, by go generate.
package main

import (
	"fmt"
	"os"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if err := run("generate/live.ts", "static/live.js"); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run bundles the TypeScript of from into the script to.
func run(from, to string) error {
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{from},
		Outfile:     to,
		Bundle:      true,
		Write:       true,
		Target:      api.ES2020,
		Format:      api.FormatIIFE,
		Charset:     api.CharsetUTF8,
		Banner:      map[string]string{"js": "// Code generated from collector/console/generate/live.ts; DO NOT EDIT."},
		LogLevel:    api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return fmt.Errorf("%s: %s", from, result.Errors[0].Text)
	}
	return nil
}
