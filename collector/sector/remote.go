package sector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/outward"
	"github.com/roje-ot/roje/collector/store"
)

// reportMost is how long a report may be, in bytes: some more than runsMost runs twice.
const reportMost = 16 << 20

// clockMost is by how much a sensor's clock may be ahead: what is said to be later would be the latest campaign for ever.
const clockMost = 24 * time.Hour

// A Remote is an operator that is asked at its own collector, by an account that the CERT has there. What it says is checked:
// it may be anybody's.
type Remote struct {
	member   Member
	password string
	client   *http.Client
}

var _ Source = (*Remote)(nil)

// NewRemote reads the files that a member names. The operator's collector is not asked yet.
func NewRemote(m Member) (*Remote, error) {
	password, err := outward.Secret(m.PasswordFile)
	if err != nil {
		return nil, err
	}
	client, err := outward.Client(m.CAFile)
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the password is for that host
	return &Remote{m, password, client}, nil
}

// Name implements Source.
func (r *Remote) Name() string { return r.member.Name }

// Read implements Source. Whose consent it is, the operator's collector knows by the account.
func (r *Remote) Read(ctx context.Context, _ string, since time.Time) (Report, error) {
	body, _, err := r.ask(ctx, http.MethodGet, ReportPath, nil)
	if err != nil {
		return Report{}, err
	}
	report, err := parse(body, r.member.Name)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", r.member.URL, err)
	}
	ahead := since.Add(Window + clockMost)
	report.Runs = slices.DeleteFunc(report.Runs, func(one Run) bool { return one.Last.Before(since) || one.Last.After(ahead) })
	return report, nil
}

// parse reads what the collector of an operator says.
func parse(body []byte, operator string) (r Report, err error) {
	if err := json.Unmarshal(body, &r); err != nil {
		return Report{}, err
	}
	switch {
	case r.Operator != operator:
		return Report{}, fmt.Errorf("it is the collector of %.80q", r.Operator)
	case !slices.Contains([]string{None, string(store.CompareReleased), string(store.CompareActs)}, r.State):
		return Report{}, fmt.Errorf("it says that its part is %.40q", r.State)
	case r.State == None && len(r.Runs) > 0, len(r.Runs) > 2*runsMost:
		return Report{}, fmt.Errorf("it tells of %d acts, state %s", len(r.Runs), r.State)
	}
	for i := range r.Runs {
		if err := r.Runs[i].check(); err != nil {
			return Report{}, fmt.Errorf("it tells of an act that cannot be: %w", err)
		}
	}
	return r, nil
}

// Tell implements Source. An operator that has forgotten the act meanwhile is not told.
func (r *Remote) Tell(ctx context.Context, _ string, n Notice, _ time.Time) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if _, status, err := r.ask(ctx, http.MethodPost, NoticePath, body); err != nil && status != http.StatusNotFound {
		return err
	}
	return nil
}

// ask sends a request and returns what a good answer says; status is 0 where there was no answer.
func (r *Remote) ask(ctx context.Context, method, path string, body []byte) (answer []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.member.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.SetBasicAuth(r.member.Account, r.password)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, reportMost+1))
	switch {
	case err != nil:
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent:
		err = fmt.Errorf("%s%s: %s", r.member.URL, path, resp.Status)
	case len(answer) > reportMost:
		err = fmt.Errorf("%s%s: an answer of more than %d bytes", r.member.URL, path, reportMost)
	}
	return answer, resp.StatusCode, err
}
