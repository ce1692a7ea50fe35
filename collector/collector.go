package collector

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/account/openid"
	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/console"
	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/sealed"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// Started is what a collector says once it listens.
type Started struct {
	Console  string // the console's URL
	Ingest   string // what sensors connect to, host:port
	Admin    string // name of the admin that was made now, "" if there were users
	Password string // the admin's one-time password, which is told only here
}

// FirstUser is the name of the admin that the first start makes.
const FirstUser = "admin"

// Run runs a collector until ctx ends, and then ends in order: listeners, requests, store. started is called once when
// both listeners accept. An error says in one line what could not be done.
func Run(ctx context.Context, cfg Config, log *slog.Logger, started func(Started)) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := makeFolder(cfg.Data); err != nil {
		return err
	}
	lock, err := lockFolder(cfg.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	served, err := ReadServing(cfg.Data)
	if err != nil {
		return err
	}
	if cfg.Operator == "" {
		cfg.Operator = served.Operator
	}
	if cfg.Store == "" {
		cfg.Store = served.Store
	}
	scope, err := store.For(cfg.Operator)
	if err != nil {
		return err
	}
	db, err := openStore(ctx, cfg.Data, cfg.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	compared, closeSector, err := sectorOf(ctx, cfg.Sector, db, scope, log)
	if err != nil {
		return err
	}
	defer closeSector()
	shelf, err := share.OpenShelf(filepath.Join(cfg.Data, shelfName))
	if err != nil {
		return err
	}
	defer shelf.Close()

	now := time.Now
	ca, err := pki.Open(filepath.Join(cfg.Data, caName), now)
	if err != nil {
		return err
	}
	covered, err := ca.Derive(account.CoverName)
	if err != nil {
		return err
	}
	cover := account.NewCover(covered, scope)
	if n, err := cover.SealAll(ctx, db, scope); err != nil {
		return err
	} else if n > 0 {
		log.Info("sealed the keys of second factors", "users", n)
	}
	record, err := audit.Open(db, scope, filepath.Join(cfg.Data, audit.FolderName), now())
	if err != nil {
		return err
	}
	defer record.Close()
	front, err := listen("console", cfg.Console.Address)
	if err != nil {
		return err
	}
	defer front.Close()
	gate, err := listen("ingest", cfg.Ingest.Address)
	if err != nil {
		return err
	}
	defer gate.Close()
	hosts := hostNames(cfg, front, gate)
	secure, err := consoleTLS(cfg.Console, front, ca, hosts)
	if err != nil {
		return err
	}

	info := Started{Console: consoleURL(cfg.Console, front, secure != nil), Ingest: reached(cfg.Ingest, gate)}
	if info.Admin, info.Password, err = firstUser(ctx, db, scope, now()); err != nil {
		return err
	}

	var provider *openid.Provider
	if cfg.SignIn.OIDC.On() {
		if provider, err = openid.New(cfg.SignIn.OIDC, cfg.Operator, strings.TrimSuffix(info.Console, "/")+openid.Callback, now); err != nil {
			return err
		}
	}
	changes, cancel := db.Subscribe(scope)
	defer cancel()
	intake := ingest.New(ingest.Config{Store: db, CA: ca, Now: now, Log: log, Approve: cfg.Enrolment.Approve})
	metrics := api.NewMetrics(db, scope, log)
	metrics.Intake(intake)
	stopping := make(chan struct{})
	refused := &audit.Refused{Log: record, Operator: cfg.Operator, Now: now, Logger: log}
	rooms := frontend{db: audit.Signing{Store: db, Log: record, Logger: log}, scope: scope, shelf: shelf, record: record, metrics: metrics, log: log, now: now, secure: secure != nil, done: stopping, signIn: cfg.SignIn, provider: provider, cover: cover, sector: compared}
	web := &http.Server{
		Handler: refused.Console(rooms.handler()), TLSConfig: secure, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	sensors := ingest.Server(intake, hosts...)
	sensors.Handler = refused.Sensors(sensors.Handler)

	if err := (Serving{cfg.Operator, front.Addr().String(), info.Ingest, cfg.Store}).write(cfg.Data); err != nil {
		return err
	}

	keeper := audit.Keeper{Log: record, Acts: db, Scope: scope, Now: now, Logger: log, Refused: refused}
	defer keep(context.WithoutCancel(ctx), &keeper)()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { metrics.Follow(ctx, changes); return nil })
	group.Go(func() error { prune(ctx, db, scope, cfg.Keep, now, log); return nil })
	group.Go(func() error { return correlate(ctx, db, scope, now, log) })
	group.Go(func() error { return (&sealed.Watcher{Store: db, Scope: scope, Log: log}).Run(ctx, now) })
	if compared != nil {
		group.Go(func() error {
			return (&sector.Watcher{Finder: compared, Store: db, Scope: scope, Log: log}).Run(ctx, now)
		})
	}
	group.Go(func() error { return serve(web, front) })
	group.Go(func() error { return serve(sensors, gate) })
	group.Go(func() error {
		<-ctx.Done()
		close(stopping)
		return shutdown(web, sensors)
	})
	if started != nil {
		started(info)
	}
	log.Info("started", "console", info.Console, "ingest", info.Ingest, "operator", cfg.Operator)
	err = group.Wait()
	log.Info("stopped")
	return err
}

// keep keeps the audit log until what it returns is called, which is after the last request has ended.
func keep(ctx context.Context, keeper *audit.Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		keeper.Run(ctx)
	}()
	return func() {
		cancel()
		<-kept
	}
}

// frontend is what the console's listener serves.
type frontend struct {
	db       store.Store
	scope    store.Scope
	shelf    *share.Shelf
	record   *audit.Log
	metrics  *api.Metrics
	log      *slog.Logger
	now      func() time.Time
	secure   bool
	done     <-chan struct{}
	signIn   SignIn
	cover    *account.Cover   // of the keys of second factors
	provider *openid.Provider // nil where there is none
	sector   *sector.Finder   // nil but in a CERT's collector
}

func (f *frontend) handler() http.Handler {
	guard := f.guard()
	return guard.Handler(f.routes(guard))
}

func (f *frontend) guard() *account.Guard {
	return &account.Guard{
		Desk:     account.NewDesk(f.db, f.scope, f.cover, f.now),
		Sessions: account.NewSessions(f.db.Sessions(f.now), f.secure),
		Users:    f.db, Scope: f.scope, Now: f.now, Logger: f.log,
		Second:     f.signIn.SecondFactor,
		RefuseFeed: share.Error,
	}
}

// routes is every address of the listener.
func (f *frontend) routes(guard *account.Guard) []account.Route {
	pages := &console.Server{Store: f.db, Scope: f.scope, Guard: guard, Logger: f.log, Now: f.now, Done: f.done, Provider: f.provider, Sector: f.sector}
	calls := &api.Server{Store: f.db, Scope: f.scope, Logger: f.log, Metrics: f.metrics.Handler(), Sector: f.sector, Now: f.now}
	recipient := func(ctx context.Context) share.Recipient { // who has no name got through no door
		u, _ := account.UserOf(ctx)
		return share.Recipient{Name: u.Name, Ceiling: u.Ceiling}
	}
	feed := &share.Server{
		Log: f.shelf, Logger: f.log, Title: "Roje",
		Feed:    func(ctx context.Context) string { return recipient(ctx).Feed(f.scope.Operator()) },
		Refresh: func(ctx context.Context) error { return f.shelf.Follow(ctx, f.db, f.scope, recipient(ctx), f.now) },
	}
	files := &share.Files{From: f.db, Scope: f.scope, Recipient: recipient, Logger: f.log}
	acts := &sector.Server{Operator: sector.Operator{Scope: f.scope, Store: f.db}, Now: f.now, Logger: f.log,
		Account: func(ctx context.Context) store.User { u, _ := account.UserOf(ctx); return u }}
	routes := slices.Concat(pages.Routes(), calls.Routes(), f.record.Routes())
	for _, r := range slices.Concat(feed.Resources(), files.Resources(), acts.Resources()) {
		routes = append(routes, account.Route{Pattern: r.Pattern, Door: account.Feed, Roles: account.CERTs, Handler: r.Handler})
	}
	return routes
}

// firstUser makes an admin where there is no user yet.
func firstUser(ctx context.Context, users store.Users, scope store.Scope, at time.Time) (name, password string, err error) {
	present, err := users.ListUsers(ctx, scope)
	if err != nil || len(present) > 0 {
		return "", "", err
	}
	password, err = account.Add(ctx, users, scope, FirstUser, store.Admin, "first start", at)
	return FirstUser, password, err
}

// serve serves until the server is shut down, over TLS if the server has it.
func serve(s *http.Server, l net.Listener) error {
	run := s.Serve
	if s.TLSConfig != nil {
		run = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	if err := run(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown lets requests end, for a while.
func shutdown(servers ...*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// prune forgets ended sessions and what is too old to be kept, once an hour.
func prune(ctx context.Context, db store.Store, scope store.Scope, keep Keep, now func() time.Time, log *slog.Logger) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := db.Sessions(now).Prune(); err != nil {
			log.Error("prune sessions", "err", err)
		}
		if gone, err := db.Forget(ctx, scope, keep.cutoff(now())); err != nil && ctx.Err() == nil {
			log.Error("forget what is old", "err", err)
		} else if gone != (store.Forgotten{}) {
			log.Info("forgot what is old", "alerts", gone.Alerts, "records", gone.Records, "envelopes", gone.Envelopes)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
