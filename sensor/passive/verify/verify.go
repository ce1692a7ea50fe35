// Package verify proves the layers of package passive, by trying: on a pair of virtual interfaces in a network namespace
// of its own it makes frames leave in every known way, against each layer and all of them, and counts what reaches the
// far end. What it sends never touches a port of the host. On a real port it looks, and does not send.
package verify

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A Cell is what became of one way of sending against one layer.
type Cell struct {
	Sender, Layer string
	Arrived       int    // frames of the sender at the far end
	Sent          uint64 // frames that the port counted as sent
	Tried         uint64 // frames that a layer dropped and counted, where the layers are all there
	Err           error  // what the sender was told
	Must          bool   // the layer must stop it
	Asked         bool   // false where the question has no sense
}

// String is the cell in the table.
func (c *Cell) String() string {
	switch {
	case !c.Asked:
		return "-"
	case c.Arrived > 0 && c.Must:
		return fmt.Sprintf("%d ARRIVED", c.Arrived)
	case c.Arrived > 0:
		return fmt.Sprint(c.Arrived, " arrived")
	case c.Err != nil && c.Tried == 0:
		return "0, refused"
	case c.Tried > 0:
		return fmt.Sprintf("0, dropped %d", c.Tried)
	}
	return "0, dropped"
}

// A Table is the result of a run.
type Table struct {
	Layers []string
	Cells  []Cell // by sender, then by layer
}

// Config is what a run needs to know.
type Config struct {
	// Attempt is a command line that calls Attempt, to which the name of the port is added: the sealed process.
	Attempt []string
	// Load, if not nil, is called in the namespace of each run with all layers before the attempts, and what it returns
	// after them: frames that arrive meanwhile.
	Load func(port string) (stop func(), err error)
}

// Run makes the table. It needs root.
func Run(ctx context.Context, cfg Config) (*Table, error) {
	t := &Table{}
	columns := make([][]Cell, len(layers))
	for i := range layers {
		t.Layers = append(t.Layers, layers[i].name)
		done := make(chan error)
		go func() { // the namespace ends with the thread, and the thread with the goroutine
			var err error
			columns[i], err = column(ctx, cfg, &layers[i])
			done <- err
		}()
		if err := <-done; err != nil {
			return nil, fmt.Errorf("layer %q: %w", layers[i].name, err)
		}
	}
	for s := range senders {
		for l := range layers {
			t.Cells = append(t.Cells, columns[l][s])
		}
	}
	return t, nil
}

// Failures are the cells in which something arrived that must not, and the ways of sending that did not work even with
// nothing in front of them, so that their row proves nothing.
func (t *Table) Failures() (broken []Cell, unproven []Cell) {
	for _, c := range t.Cells {
		switch {
		case c.Must && c.Asked && (c.Arrived > 0 || c.Layer == "all of them" && c.Sent > 0):
			broken = append(broken, c)
		case c.Layer == layers[0].name && c.Arrived == 0:
			unproven = append(unproven, c)
		}
	}
	return broken, unproven
}

// Write prints the table.
func (t *Table) Write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "a frame sent by\t"+strings.Join(t.Layers, "\t"))
	for i := 0; i < len(t.Cells); i += len(t.Layers) {
		fmt.Fprint(out, t.Cells[i].Sender)
		for _, c := range t.Cells[i : i+len(t.Layers)] {
			fmt.Fprint(out, "\t", c.String())
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}
