package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// masked holds that a release keeps its form until it is retracted, that its act says the form, and that a secret is made
// once.
func masked(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	ingest(t, st, sc, newSpool("s1", batch.Routine).seal(t, alert(1, nil)))
	r, err := st.ReleaseMasked(ctx, sc, "alert-001", store.Green, "ana", Start)
	if err != nil || !r.Masked {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := st.Release(ctx, sc, "alert-001", store.Green, "ana", Start); !errors.Is(err, store.ErrOtherForm) {
		t.Errorf("a release in the clear on top: %v, want %v", err, store.ErrOtherForm)
	}
	if r, err := st.Retract(ctx, sc, "alert-001", "ana", Start); err != nil || !r.Masked || !r.Revoked {
		t.Errorf("its retraction is %+v, %v; want it of the same form", r, err)
	}
	if r, err := st.Release(ctx, sc, "alert-001", store.Green, "ana", Start); err != nil || r.Masked {
		t.Errorf("in the clear after that: %+v, %v", r, err)
	}
	versions, _, err := st.ListReleased(ctx, sc, store.ReleaseFilter{All: true}, "", 10)
	if err != nil || len(versions) != 3 || !versions[0].Masked || !versions[1].Masked || versions[2].Masked {
		t.Errorf("versions %+v, %v", versions, err)
	}
	acts, err := st.Acts(ctx, sc, "alert-001", 10)
	if err != nil || len(acts) != 3 || acts[2].Detail != "green, under pseudonyms" || acts[0].Detail != "green" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	one, err := st.Secret(ctx, sc, "x")
	again, e := st.Secret(ctx, sc, "x")
	if err != nil || e != nil || len(one) != 32 || !bytes.Equal(one, again) {
		t.Errorf("a secret is %x and then %x (%v, %v)", one, again, err, e)
	}
	for name, of := range map[string]store.Scope{"y": sc, "x": For(t, "south")} {
		if other, err := st.Secret(ctx, of, name); err != nil || bytes.Equal(one, other) {
			t.Errorf("another name, another operator: %x, %v", other, err)
		}
	}
}
