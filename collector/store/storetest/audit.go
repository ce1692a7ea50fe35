package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/roje-ot/roje/collector/store"
)

// audit holds that the audit log's entries have places without holes whoever appends them, and stay as they are.
func audit(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	add := func(acts ...int64) error {
		return st.AppendLeaves(ctx, sc, func(n, act int64) ([][]byte, int64, error) {
			var leaves [][]byte
			for _, a := range acts {
				leaves, act = append(leaves, fmt.Appendf(nil, "leaf %d", n)), max(act, a)
				n++
			}
			return leaves, act, nil
		})
	}
	if err := errors.Join(add(1, 2), add(), add(7)); err != nil {
		t.Fatal(err)
	}
	why := errors.New("no")
	if err := st.AppendLeaves(ctx, sc, func(n, act int64) ([][]byte, int64, error) {
		if n != 3 || act != 7 {
			t.Errorf("the next entry has place %d, and the last act is %d; want 3 and 7", n, act)
		}
		return [][]byte{{1}}, 9, why
	}); !errors.Is(err, why) {
		t.Errorf("got %v, want the error of write", err)
	}
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for range 5 {
				if err := add(0, 8, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		page, err := st.Leaves(ctx, sc, int64(len(got)), 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, leaf := range page {
			got = append(got, string(leaf))
		}
		if len(page) == 0 {
			break
		}
	}
	var want []string
	for i := range 63 {
		want = append(want, fmt.Sprint("leaf ", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d entries %q, want 63, each at its place", len(got), got)
	}
	for i := range 3 {
		if err := st.AppendCheckpoint(ctx, sc, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if notes, err := st.Checkpoints(ctx, sc, 1, 10); err != nil || len(notes) != 2 || string(notes[0]) != "1" {
		t.Errorf("checkpoints %q, %v", notes, err)
	}
	if leaves, err := st.Leaves(ctx, For(t, "south"), 0, 10); err != nil || len(leaves) != 0 {
		t.Errorf("of another operator: %q, %v", leaves, err)
	}
	if err := st.AppendLeaves(ctx, store.Scope{}, nil); !errors.Is(err, store.ErrNoScope) {
		t.Errorf("of nobody: %v", err)
	}
}
