package store_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// TestCutEvidence holds that pieces are taken out with all they say, that their bytes are not among what is ingested, and
// that the batches themselves stay as they are, so that they can be tried again.
func TestCutEvidence(t *testing.T) {
	piece := batch.Piece{Alert: "a", Size: 9, SHA256: "0", At: 3, Data: []byte("secretly")}
	body, err := json.Marshal(piece)
	if err != nil {
		t.Fatal(err)
	}
	records := []batch.Record{{Seq: 1, Kind: batch.KindAlert, Body: []byte(`{"id":"a"}`)}, {Seq: 2, Kind: batch.KindEvidence, Body: body}, {Seq: 3, Kind: batch.KindEvidence, Body: []byte(`[]`)}}
	given := []store.Batch{{Records: records}}
	for range 2 {
		without, pieces, err := store.CutEvidence(given)
		if err != nil || len(pieces) != 1 || pieces[0].At != 3 || string(pieces[0].Data) != "secretly" {
			t.Fatalf("%+v, %v", pieces, err)
		}
		kept := without[0].Records
		if len(kept) != 3 || !bytes.Equal(kept[0].Body, records[0].Body) || string(kept[2].Body) != "[]" || string(kept[1].Body) != `{"alert":"a","size":9,"sha256":"0","at":3,"bytes":8}` {
			t.Errorf("kept %+v", kept)
		}
		if !bytes.Equal(given[0].Records[1].Body, body) {
			t.Error("the batches were changed")
		}
	}
}
