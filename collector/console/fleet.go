package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/store"
)

// fleetRoutes are the pages about sensors as a whole, about campaigns and about cases.
func (s *Server) fleetRoutes(page func(pattern string, roles []store.Role, h http.HandlerFunc) account.Route) []account.Route {
	return []account.Route{
		page("GET /fleet", account.Watchers, s.fleet),
		page("POST /fleet/assign", account.Engineers, s.assign),
		page("GET /campaigns", account.Readers, s.campaigns),
		page("GET /campaigns/{id}", account.Readers, s.campaign),
		page("GET /cases", account.Readers, s.cases),
		page("POST /cases", account.Judges, s.openCase),
		page("GET /cases/{id}", account.Readers, s.showCase),
		page("POST /cases/{id}", account.Judges, s.changeCase),
	}
}

type fleetView struct {
	view
	Members  []memberRow // those in trouble first
	Next     string      // the address of the next page of them, "" on the last
	All      int
	Trouble  int
	Packs    []packRow
	Selected string // target of the form
}

// A memberRow is a sensor of the fleet with its states in words.
type memberRow struct {
	fleet.Member
	Word  string
	Packs []packWord
}

type packWord struct {
	fleet.PackState
	Word string
}

// A packRow is a pack that is kept, and whom it is for.
type packRow struct {
	store.Pack
	For  []string
	Over bool // no sensor takes it any more
}

func (s *Server) fleet(w http.ResponseWriter, r *http.Request) {
	s.fleetPage(w, r, http.StatusOK, fleetView{view: s.view(r)})
}

func (s *Server) fleetPage(w http.ResponseWriter, r *http.Request, status int, v fleetView) {
	members, err := fleet.Members(r.Context(), s.Store, s.Scope, s.Now())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	var well []fleet.Member
	trouble := slices.DeleteFunc(members, func(m fleet.Member) bool {
		if !m.Trouble() {
			well = append(well, m)
		}
		return !m.Trouble()
	})
	v.All, v.Trouble = len(trouble)+len(well), len(trouble)
	members, v.Next = part(r, "/fleet", append(trouble, well...))
	for _, m := range members {
		row := memberRow{Member: m, Word: v.T("sensor." + m.State)}
		for _, p := range m.Packs {
			row.Packs = append(row.Packs, packWord{p, v.T("fleet." + p.State)})
		}
		v.Members = append(v.Members, row)
	}
	packs, err := s.Store.ListPacks(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	assigned, err := s.Store.Assignments(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	for _, p := range packs {
		row := packRow{Pack: p, Over: p.Expires != nil && !s.Now().Before(*p.Expires)}
		for _, a := range assigned {
			if a.Pack == p.SHA256 {
				row.For = append(row.For, a.Target)
			}
		}
		v.Packs = append(v.Packs, row)
	}
	s.render(w, r, status, "fleet.html", v)
}

// assign has sensors fetch a pack, or no longer.
func (s *Server) assign(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := fleetView{view: s.view(r), Selected: strings.TrimSpace(r.PostFormValue("target"))}
	var err error
	if kind := r.PostFormValue("unassign"); kind != "" {
		err = s.Store.Unassign(r.Context(), s.Scope, v.Selected, kind, v.User.Name, s.Now())
	} else {
		err = s.Store.Assign(r.Context(), s.Scope, v.Selected, r.PostFormValue("pack"), v.User.Name, s.Now())
	}
	if err != nil {
		v.Error = v.T("fleet.notarget")
		s.fleetPage(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	http.Redirect(w, r, "/fleet", http.StatusSeeOther)
}

type campaignsView struct {
	view
	Campaigns []campaignRow
	Next      string
}

// A campaignRow is a campaign with how it is released: see groupTag.
type campaignRow struct {
	store.Campaign
	Tag string
}

// listMost is how many rows a page of campaigns or cases has.
const listMost = 50

func (s *Server) campaigns(w http.ResponseWriter, r *http.Request) {
	v := campaignsView{view: s.view(r)}
	found, next, err := s.Store.ListCampaigns(r.Context(), s.Scope, store.Usual.Sites, r.FormValue("cursor"), listMost)
	v.Next = next
	for _, c := range found {
		row := campaignRow{Campaign: c}
		if err == nil {
			row.Tag, err = s.groupTag(r, store.ItemCampaign, c.ID)
		}
		v.Campaigns = append(v.Campaigns, row)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "campaigns.html", v)
}

type campaignView struct {
	view
	Campaign     store.Campaign
	Since, Until string // the filter that shows its alerts
	Cases        []store.Case
	Open         []store.Case
	Release      *groupForm
}

func (s *Server) campaign(w http.ResponseWriter, r *http.Request) {
	v := campaignView{view: s.view(r)}
	var err error
	if v.Campaign, err = s.Store.GetCampaign(r.Context(), s.Scope, r.PathValue("id")); err != nil {
		s.broken(w, r, err)
		return
	}
	v.Since, v.Until = v.Campaign.First.Format(time.RFC3339Nano), v.Campaign.Last.Add(1).Format(time.RFC3339Nano)
	if v.Cases, v.Open, err = s.casesOf(r, store.ItemCampaign, v.Campaign.ID); err != nil {
		s.broken(w, r, err)
		return
	}
	if v.Release, err = s.groupForm(r, v.view, store.ItemCampaign, v.Campaign.ID); err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "campaign.html", v)
}
