package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

func pack(kind, name string, version uint64, sha256 string) store.Pack {
	until := Start.AddDate(1, 0, 0)
	return store.Pack{SHA256: sha256, Kind: kind, Name: name, Version: version, Size: 3, Key: "k", Created: Start, Expires: &until, Sensors: []string{"a", "b"}, Who: "ana", At: Start}
}

// packs holds who is offered what, and that what sensors say of it is an act once.
func packs(t *testing.T, st store.Store) {
	north, south, ctx := For(t, "north"), For(t, "south"), t.Context()
	enrol(t, st, north, "s1")
	for _, p := range []store.Pack{pack("rules", "utility", 1, "r1"), pack("rules", "utility", 2, "r2"), pack("policy", "utility", 1, "p1")} {
		for range 2 {
			if err := st.PutPack(ctx, north, p, []byte(p.SHA256)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := st.PutPack(ctx, north, pack("rules", "utility", 2, "other"), []byte("x")); !errors.Is(err, store.ErrExists) {
		t.Errorf("another content under a version: %v, want %v", err, store.ErrExists)
	}
	list, err := st.ListPacks(ctx, north)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "packs", list, []store.Pack{pack("policy", "utility", 1, "p1"), pack("rules", "utility", 2, "r2"), pack("rules", "utility", 1, "r1")})
	if body, err := st.ReadPack(ctx, north, "r1"); err != nil || !bytes.Equal(body, []byte("r1")) {
		t.Errorf("pack %q, %v", body, err)
	}
	if _, err := st.ReadPack(ctx, south, "r1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another operator's pack: %v, want %v", err, store.ErrNotFound)
	}
	if err := st.Assign(ctx, south, store.TargetAll, "r1", "eve", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another operator's pack is assigned: %v", err)
	}
	if err := st.Assign(ctx, north, "everybody", "r1", "ana", Start); err == nil {
		t.Error("assigned to a target that is none")
	}
	offered := func(name string, want ...string) {
		t.Helper()
		got, err := st.Offered(ctx, north, store.Sensor{ID: "s1", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, p := range got {
			ids = append(ids, p.SHA256)
		}
		same(t, "offered", ids, want)
	}
	offered("Alpha")
	for _, a := range []struct{ target, pack string }{{store.TargetAll, "r1"}, {store.TargetAll, "r1"}, {store.TargetSite("Alpha"), "p1"}, {store.TargetSite("Alpha"), "r2"}} {
		if err := st.Assign(ctx, north, a.target, a.pack, "ana", Start); err != nil {
			t.Fatal(err)
		}
	}
	offered("Alpha", "p1", "r2")
	offered("Beta", "r1")
	if err := st.Assign(ctx, north, store.TargetSensor("s1"), "r1", "ana", Start); err != nil {
		t.Fatal(err)
	}
	offered("Alpha", "p1", "r1")
	if err := st.Unassign(ctx, north, store.TargetSite("Alpha"), "policy", "ana", Start); err != nil {
		t.Fatal(err)
	}
	if err := st.Unassign(ctx, north, store.TargetSite("Alpha"), "policy", "ana", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unassigned twice: %v", err)
	}
	offered("Alpha", "r1")
	if all, err := st.Assignments(ctx, north); err != nil || len(all) != 3 || all[0].Target != store.TargetAll || all[0].Pack != "r1" || all[0].Who != "ana" {
		t.Errorf("assignments %+v, %v", all, err)
	}

	said := []store.Outcome{
		{Sensor: "s1", Pack: "r1", Reason: "older", Why: "it is", At: Start},
		{Sensor: "s1", Pack: "r1", Reason: "older", Why: "it is", At: Start.Add(time.Hour)},
		{Sensor: "s1", Pack: "r2", Taken: true, At: Start.Add(2 * time.Hour)},
	}
	for _, o := range said {
		if err := st.PutOutcome(ctx, north, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutOutcome(ctx, north, store.Outcome{Sensor: "s1", Pack: "none", At: Start}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an outcome of a pack that is not there: %v", err)
	}
	got, err := st.Outcomes(ctx, north)
	if err != nil {
		t.Fatal(err)
	}
	want := said[2]
	want.Kind = "rules"
	same(t, "outcomes", got, []store.Outcome{want})
	acts, err := st.Acts(ctx, north, "s1", 10)
	if err != nil || len(acts) != 3 || acts[0].What != "pack-taken" || acts[1].What != "pack-refused" || acts[1].Who != "sensor s1" || acts[1].Detail != "rules utility 1 r1: older: it is" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	if acts, err := st.Acts(ctx, north, "", 100); err != nil || len(acts) != 12 { // token, enrol, 3 packs, 4 assigned, 1 unassigned, 2 said
		t.Errorf("%d acts, %v: %+v", len(acts), err, acts)
	}
}
