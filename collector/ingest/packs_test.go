package ingest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// get asks for a path with headers, which are names and values by turns.
func (r *rig) get(s *sensor, path string, headers ...string) (status int, text []byte, header http.Header) {
	r.t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	if s != nil {
		cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{s.cert.Raw}, PrivateKey: s.key}}
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, text, resp.Header
}

// TestPacks: a sensor learns with its batches that there is something for it, gets it whole or in parts, and gets nothing
// that is for another one; what it says became of it is an act.
func TestPacks(t *testing.T) {
	r := newRig(t)
	one, other := r.joined(), r.joined()
	ctx := t.Context()
	body := bytes.Repeat([]byte("rule"), 1000)
	for _, p := range []struct{ kind, sum, target string }{{"rules", "aa", store.TargetSensor(one.id)}, {"policy", "bb", store.TargetSensor(other.id)}} {
		if err := r.db.PutPack(ctx, r.scope, store.Pack{SHA256: p.sum, Kind: p.kind, Name: "utility", Version: 3, Size: len(body), Who: "ana", At: start}, body); err != nil {
			t.Fatal(err)
		}
		if err := r.db.Assign(ctx, r.scope, p.target, p.sum, "ana", start); err != nil {
			t.Fatal(err)
		}
	}
	status, text, header := r.get(one, batch.PathPacks)
	var offers batch.Offers
	if err := json.Unmarshal(text, &offers); err != nil || status != 200 || len(offers.Packs) != 1 || offers.Packs[0] != (batch.Offer{Kind: "rules", Name: "utility", Version: 3, Size: 4000, SHA256: "aa"}) {
		t.Fatalf("%d %s %v", status, text, err)
	}
	_, text, _ = r.post(one, batch.PathBatches, one.seal(t, 1, func(h *batch.Header) { h.From, h.To = 1, 1 }))
	var a batch.Answer
	if err := json.Unmarshal(text, &a); err != nil || a.Policy == 0 || fmt.Sprintf(`"%d"`, a.Policy) != header.Get("ETag") {
		t.Errorf("the answer's revision is %d (%v), the list's %s", a.Policy, err, header.Get("ETag"))
	}
	for _, c := range []struct {
		who     *sensor
		path    string
		headers []string
		status  int
		body    string
	}{
		{one, "", []string{"If-None-Match", header.Get("ETag")}, 304, ""},
		{one, "", []string{"If-None-Match", `"1"`}, 200, string(mustText(t, offers)) + "\n"},
		{one, "/aa", nil, 200, string(body)},
		{one, "/aa", []string{"Range", "bytes=3990-"}, 206, string(body[3990:])},
		{one, "/aa", []string{"Range", "bytes=2-5", "If-Range", `"aa"`}, 206, string(body[2:6])},
		{one, "/aa", []string{"Range", "bytes=2-5", "If-Range", `"ab"`}, 200, string(body)}, // it was another one
		{one, "/bb", nil, 404, ""},
		{one, "/cc", nil, 404, ""},
		{nil, "", nil, 401, ""},
		{nil, "/aa", nil, 401, ""},
	} {
		status, text, _ := r.get(c.who, batch.PathPacks+c.path, c.headers...)
		if status != c.status || status < 300 && string(text) != c.body {
			t.Errorf("%s %v: %d, %d bytes; want %d, %d", c.path, c.headers, status, len(text), c.status, len(c.body))
		}
	}
	for _, c := range []struct {
		who  *sensor
		said batch.Outcome
		want int // acts
	}{
		{one, batch.Outcome{SHA256: "aa", Reason: "older", Why: strings.Repeat("x", 5000)}, 1},
		{one, batch.Outcome{SHA256: "aa", Reason: "older"}, 1},
		{one, batch.Outcome{SHA256: "bb", Taken: true}, 1}, // not its own
		{one, batch.Outcome{SHA256: "aa", Taken: true}, 2},
	} {
		if status, text, _ := r.post(c.who, batch.PathOutcome, mustText(t, c.said)); status != 200 {
			t.Errorf("%+v: %d %s", c.said, status, text)
		}
		acts := 0
		all, err := r.db.Acts(ctx, r.scope, one.id, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if strings.HasPrefix(a.What, "pack-") {
				acts++
				if len(a.Detail) > 1200 {
					t.Errorf("an act of %d bytes", len(a.Detail))
				}
			}
		}
		if acts != c.want {
			t.Errorf("after %.60v: %d acts, want %d", c.said, acts, c.want)
		}
	}
	if status, _, _ := r.post(one, batch.PathOutcome, []byte("{")); status != 400 {
		t.Errorf("no JSON: %d", status)
	}
	if err := r.db.Deny(ctx, r.scope, one.id, "ana", start); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := r.get(one, batch.PathPacks+"/aa"); status != 403 {
		t.Errorf("a sensor on the deny list: %d", status)
	}
}

func mustText(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
