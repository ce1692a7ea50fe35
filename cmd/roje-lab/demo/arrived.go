package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A page of the collector's alerts, as far as the demo needs it.
type page struct {
	Alerts []struct {
		ID    string    `json:"id"`
		Rule  string    `json:"rule"`
		Count int       `json:"count"`
		Last  time.Time `json:"last"`
	} `json:"alerts"`
	Next string `json:"next"`
}

// page asks for one page, the newest alerts first.
func (s *site) page(ctx context.Context, cursor string) (p page, err error) {
	return p, s.get(ctx, "/api/v1/alerts?limit=500&cursor="+url.QueryEscape(cursor), &p)
}

// arrived asks for every alert, and returns how many there are and of which rules.
func (s *site) arrived(ctx context.Context) (alerts int, rules []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for cursor := ""; ; {
		p, err := s.page(ctx, cursor)
		if err != nil {
			return alerts, rules, err
		}
		alerts += len(p.Alerts)
		for _, a := range p.Alerts {
			rules = append(rules, a.Rule)
		}
		if p.Next == "" {
			slices.Sort(rules)
			return alerts, slices.Compact(rules), nil
		}
		cursor = p.Next
	}
}

func (s *site) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.console+path, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(reader, s.password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
