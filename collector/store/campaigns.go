package store

import (
	"context"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
)

// A Campaign is the same act, by its rule and technique, at several sites in a short time: a chain of alerts of which each
// came no later than Correlation.Within after another one. It depends on what the alerts say and on nothing else: not on
// the order in which they came, nor on how often.
type Campaign struct {
	ID        string         `json:"id"`
	Rule      string         `json:"rule"`
	Technique string         `json:"technique,omitempty"`
	Severity  rules.Severity `json:"severity"` // of the worst alert
	First     time.Time      `json:"first"`    // Alert.First of the first alert, and of the last
	Last      time.Time      `json:"last"`
	Sites     int            `json:"sites"` // sensors that saw it
	Alerts    int            `json:"alerts"`
	Updated   time.Time      `json:"updated"`
	Seen      []CampaignSite `json:"seen,omitempty"` // by time; only from GetCampaign
}

// A CampaignSite is what one sensor saw of a campaign.
type CampaignSite struct {
	Sensor string    `json:"sensor"`
	Name   string    `json:"name,omitempty"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Alerts int       `json:"alerts"`
}

// A Correlation says what is one campaign.
type Correlation struct {
	Within time.Duration  // between two alerts of a campaign, at most
	Sites  int            // that make a campaign, at least
	Least  rules.Severity // alerts below it count for nothing
}

// Campaigns finds and lists campaigns.
type Campaigns interface {
	// Correlate looks at alerts that it has not looked at, at most 1000, and says at how many; 0: there were no more. Any
	// number of collectors may call it at a time: each alert is looked at once.
	Correlate(ctx context.Context, s Scope, c Correlation, at time.Time) (int, error)
	// ListCampaigns returns at most limit campaigns (1 to 1000) of at least so many sites after cursor, newest Last first. The
	// cursor it returns is "" after the last page.
	ListCampaigns(ctx context.Context, s Scope, sites int, cursor string, limit int) ([]Campaign, string, error)
	// GetCampaign returns a campaign with its sites. One that was found to be part of another is that other one.
	GetCampaign(ctx context.Context, s Scope, id string) (Campaign, error)
}

// Technique is the one by which an alert is of a campaign, "" if it has none.
func Technique(a *rules.Alert) string {
	if ids := attack.Order([]*rules.Alert{a}); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// Usual is what is one campaign unless somebody says otherwise. Within an hour, so that somebody who goes from site to
// site is one; three sites, as two have a line in common every day.
var Usual = Correlation{Within: time.Hour, Sites: 3, Least: rules.Medium}
