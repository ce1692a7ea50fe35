// Command detect says what the shipped rules find in labelled captures and what they raise where nothing is wrong: the
// goals of detection, as a table. Every data set is judged with the same defaults; nothing is set per set.
//
//	recall    attacks of which at least one alert names a host between the attack's start and a minute after its end
//	after     packet time from an attack's start to the first such alert
//	incidents that such alerts of one attack belong to
//	false     incidents none of whose alerts belongs to an attack, per day that was judged, by family of detections
//
// The captures of the lab are in the repository; those of the corpus are looked for where $ROJE_CORPUS says, or beside
// the checkout, and what is missing is said.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	corpus := flag.String("corpus", corpusDir(), "folder of the public captures and their labels.json")
	lab := flag.String("lab", "testdata", "folder of the lab's captures and their acts.json")
	show := flag.String("show", "", "say every alert of the scenarios and captures whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := judgeAll(ctx, *lab, *corpus)
	if err != nil {
		fmt.Fprintln(os.Stderr, "detect:", err)
		os.Exit(1)
	}
	report.print(os.Stdout)
	if *show != "" {
		report.show(os.Stdout, *show)
	}
	if len(report.failed()) > 0 {
		os.Exit(1)
	}
}

// corpusDir is where package need looks too.
func corpusDir() string {
	if dir := os.Getenv("ROJE_CORPUS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "shared", "pcaps")
}
