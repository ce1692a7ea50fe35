package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/store"
)

// fleetCalls are those about sensors as a whole, and about what was found and is looked into at several of them.
func fleetCalls() []call {
	return []call{
		{"/api/v1/fleet", "listFleet", "Every sensor: its packs, clock, certificate, capture and gaps; those with trouble first, or with a limit a page at a time, by id.", wholeParams, memberList{}, (*Server).fleet},
		{"/api/v1/packs", "listPacks", "The signed packs that are kept, and whom they are assigned to.", nil, packList{}, (*Server).packs},
		{"/api/v1/campaigns", "listCampaigns", "The same act at several sites, the latest first, a page at a time.", pageParams, campaignPage{}, (*Server).campaigns},
		{"/api/v1/campaigns/{id}", "getCampaign", "One campaign with its sites.", nil, store.Campaign{}, (*Server).campaign},
		{"/api/v1/cases", "listCases", "Cases, the latest opened first, a page at a time.", pageParams, casePage{}, (*Server).cases},
		{"/api/v1/letters", "listLetters", "What CERTs have written about released alerts, the latest first, a page at a time.", pageParams, letterPage{}, (*Server).letters},
		{"/api/v1/cases/{id}", "getCase", "One case with its items and notes.", nil, store.Case{}, (*Server).oneCase},
	}
}

// pageParams are those of a list that is not filtered.
var pageParams = slices.DeleteFunc(slices.Clone(listParams), func(p param) bool { return p.name != "cursor" && p.name != "limit" })

type memberList struct {
	Members []fleet.Member `json:"members"`
	Next    string         `json:"next,omitempty"`
}

type packList struct {
	Packs       []store.Pack       `json:"packs"`
	Assignments []store.Assignment `json:"assignments"`
}

type campaignPage struct {
	Campaigns []store.Campaign `json:"campaigns"`
	Next      string           `json:"next,omitempty"`
}

type casePage struct {
	Cases []store.Case `json:"cases"`
	Next  string       `json:"next,omitempty"`
}

type letterPage struct {
	Letters []store.Letter `json:"letters"`
	Next    string         `json:"next,omitempty"`
}

// reply sends what a call of the store gave, a list that is empty as one.
func reply[T any](s *Server, w http.ResponseWriter, r *http.Request, body T, err error) {
	if err != nil {
		s.broken(w, r, err)
		return
	}
	send(w, body)
}

// list is never null.
func list[T any](all []T) []T { return append([]T{}, all...) }

func (s *Server) fleet(w http.ResponseWriter, r *http.Request) {
	members, err := fleet.Members(r.Context(), s.Store, s.Scope, time.Now())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	members, next, err := page(r, members, func(m *fleet.Member) string { return m.Sensor })
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	send(w, memberList{list(members), next})
}

func (s *Server) packs(w http.ResponseWriter, r *http.Request) {
	packs, err := s.Store.ListPacks(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	assigned, err := s.Store.Assignments(r.Context(), s.Scope)
	reply(s, w, r, packList{list(packs), list(assigned)}, err)
}

func (s *Server) campaigns(w http.ResponseWriter, r *http.Request) {
	q, err := parse(r.URL.Query(), pageParams)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	found, next, err := s.Store.ListCampaigns(r.Context(), s.Scope, store.Usual.Sites, q.cursor, q.limit)
	reply(s, w, r, campaignPage{list(found), next}, err)
}

func (s *Server) campaign(w http.ResponseWriter, r *http.Request) {
	c, err := s.Store.GetCampaign(r.Context(), s.Scope, r.PathValue("id"))
	reply(s, w, r, c, err)
}

func (s *Server) cases(w http.ResponseWriter, r *http.Request) {
	q, err := parse(r.URL.Query(), pageParams)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	found, next, err := s.Store.ListCases(r.Context(), s.Scope, nil, q.cursor, q.limit)
	reply(s, w, r, casePage{list(found), next}, err)
}

func (s *Server) letters(w http.ResponseWriter, r *http.Request) {
	q, err := parse(r.URL.Query(), pageParams)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	found, next, err := s.Store.ListLetters(r.Context(), s.Scope, store.LetterFilter{}, q.cursor, q.limit)
	reply(s, w, r, letterPage{list(found), next}, err)
}

func (s *Server) oneCase(w http.ResponseWriter, r *http.Request) {
	c, err := s.Store.GetCase(r.Context(), s.Scope, r.PathValue("id"))
	reply(s, w, r, c, err)
}
