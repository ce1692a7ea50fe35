package console

import (
	"net/http"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/store"
)

// sectorRoutes is the page of what operators have together, at a CERT's collector.
func (s *Server) sectorRoutes(page func(pattern string, roles []store.Role, h http.HandlerFunc) account.Route) []account.Route {
	if s.Sector == nil {
		return nil
	}
	return []account.Route{page("GET /sector", account.Sector, s.sector)}
}

type sectorView struct {
	view
	sector.Picture
	AtLeast int
}

func (s *Server) sector(w http.ResponseWriter, r *http.Request) {
	v := sectorView{view: s.view(r), AtLeast: s.Sector.AtLeast}
	var err error
	if v.Picture, err = s.Sector.Look(r.Context(), s.Now()); err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "sector.html", v)
}
