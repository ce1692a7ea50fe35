package collector

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/store"
)

// sectorOf is the finder of a CERT's collector, nil for an operator's. close closes the stores that were opened for it.
func sectorOf(ctx context.Context, cfg sector.Config, db store.Store, scope store.Scope, log *slog.Logger) (f *sector.Finder, close func(), err error) {
	var opened []store.Store
	close = func() {
		for _, st := range opened {
			st.Close()
		}
	}
	if err := cfg.Complete(scope.Operator()); err != nil || !cfg.On() {
		return nil, close, err
	}
	f = &sector.Finder{CERT: scope.Operator(), AtLeast: cfg.AtLeast, Logger: log}
	for _, m := range cfg.Operators {
		of, err := store.For(m.Name)
		if err == nil && m.URL != "" {
			var remote *sector.Remote
			if remote, err = sector.NewRemote(m); err == nil {
				f.Operators = append(f.Operators, remote)
				continue
			}
		}
		from := db
		if err == nil && m.Data != "" {
			var serving Serving
			if from, _, serving, err = OpenStore(ctx, m.Data); err == nil {
				opened = append(opened, from)
				if serving.Operator != m.Name {
					err = fmt.Errorf("%s is the folder of operator %s", m.Data, serving.Operator)
				}
			}
		}
		if err != nil {
			close()
			return nil, func() {}, fmt.Errorf("sector: operator %s: %w", m.Name, err)
		}
		f.Operators = append(f.Operators, sector.Operator{Scope: of, Store: from})
	}
	return f, close, nil
}
