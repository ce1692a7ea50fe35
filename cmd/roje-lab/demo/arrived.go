package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// arrived asks the collector's API for every alert, and returns how many there are and of which rules.
func (s *site) arrived(ctx context.Context) (alerts int, rules []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for cursor := ""; ; {
		var page struct {
			Alerts []struct {
				Rule string `json:"rule"`
			} `json:"alerts"`
			Next string `json:"next"`
		}
		if err := s.get(ctx, "/api/v1/alerts?limit=500&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return alerts, rules, err
		}
		alerts += len(page.Alerts)
		for _, a := range page.Alerts {
			rules = append(rules, a.Rule)
		}
		if page.Next == "" {
			slices.Sort(rules)
			return alerts, slices.Compact(rules), nil
		}
		cursor = page.Next
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
