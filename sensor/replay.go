package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/sensor/asset"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/plant"
)

// Replaying is what to do with capture files. Each output names a file, "-" for standard output, or "" for none.
type Replaying struct {
	Captures                                 []string
	Events, Alerts, Ledger, Coverage, Assets string
	State                                    string // folder of the baseline; "" keeps it in memory
	Evidence                                 string // folder for the frames that alerts stand on; "" for none
	Phase                                    rules.Phase
	Propose                                  bool             // in the phase Learn: leave what was learned to a person
	Shadow                                   []baseline.Class // in the phase Enforce: judge as if these classes of what waits were approved
	Rules                                    string           // folder of rules beside the shipped pack, or a pack; "" for none
	Site                                     string           // what a site says about rules: package site; "" for none
	Points                                   []plant.File     // point lists: what points are called
	Until                                    time.Time        // each capture is read up to here, in packet time; to its end if zero
	Warn                                     io.Writer        // for what does not stop the replay

	seen func(*rules.Event) // hears of every event; may be nil
	kept func(*rules.Event) // has every event before the rules do, the ledger's too; may be nil
	set  []*lang.Rule       // in place of the shipped pack and Rules; nil for those
}

// Replay runs the sensor's pipeline over capture files, in packet time: the same files give the same output. In the
// phase Learn it approves at the end what it has learned, save for what only a person may. A file that is damaged is
// read up to the damage, and the others are read all the same; the error names each of them.
func Replay(ctx context.Context, r Replaying) (err error) {
	set := r.set
	if set == nil {
		book, err := LoadRulebook(RuleFiles{Rules: r.Rules, Site: r.Site}, time.Time{})
		if err != nil {
			return err
		}
		set = book.Rules
	}
	lists, err := plant.Load(r.Points)
	if err != nil {
		return err
	}
	base, warning, err := baseline.Open(r.State, baseline.Options{Phase: r.Phase, ReadOnly: r.Phase != rules.Learn})
	if err != nil {
		return err
	}
	if warning != nil {
		fmt.Fprintln(r.Warn, warning)
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	base.Use(listsOf(lists))
	if r.Phase == rules.Enforce && len(r.Shadow) > 0 {
		base.Decide(baseline.Choice{Who: "shadow", Classes: r.Shadow}) // in memory: the file is only read
	}
	assets, bad, err := asset.Open(r.State)
	if err != nil {
		return err
	}
	if bad != nil {
		fmt.Fprintln(r.Warn, bad)
	}
	out, err := r.openAll()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()

	findings := findings{byID: map[string]*rules.Alert{}}
	var desk *evidence.Desk
	if r.Evidence != "" {
		if desk, err = openDesk(evidence.Options{Dir: r.Evidence, Ready: findings.take}); err != nil {
			return err
		}
	}
	judge := engine.New(set, engine.Options{Sensor: "replay", Emit: func(a *rules.Alert) { desk.Alert(a); findings.take(a) }})
	decide := judge.Judge
	if r.kept != nil {
		decide = func(e *rules.Event) { r.kept(e); judge.Judge(e) }
	}
	acts := ledger.New(ledger.Config{Tell: decide}, func(record *ledger.Record) { out.ledger.Write(record) })
	useLists(lists, judge, acts, desk)
	pipeline := &Pipeline{Know: func(e *rules.Event) {
		base.Judge(e)
		assets.Take(e)
		if r.seen != nil {
			r.seen(e)
		}
	}, Record: func(e *rules.Event) { acts.Take(e); desk.Event(e) }, Judge: decide, Events: out.events,
		Closed: func(c *flow.Conn) { out.coverage.Append(c.AppendJSON) }}

	pipeline.Over = acts.Closed

	var failed []error
	for i, path := range r.Captures {
		pipeline.Base = connections * uint64(i)
		table := flow.New(flow.Config{Protocols: catalog.All}, pipeline.Handler())
		if err := readPackets(ctx, path, table, desk, r.Until); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
		}
		account := table.Coverage()
		out.coverage.Append(func(dst []byte) []byte { return account.AppendJSON(dst, path) })
		if ctx.Err() != nil {
			break
		}
	}
	acts.Flush()
	judge.Flush()
	failed = append(failed, desk.Flush())
	findings.write(out.alerts)
	if r.Phase == rules.Learn && !r.Propose {
		base.Approve("replay", time.Unix(0, pipeline.Last).UTC())
	}
	for _, a := range assets.Assets() {
		out.assets.Write(a)
	}
	if r.Phase == rules.Learn {
		failed = append(failed, assets.Save())
	}
	return errors.Join(failed...)
}

// LoadRules loads the shipped pack and, from a folder, further rules; the error holds all that is wrong with them.
func LoadRules(dir string) ([]*lang.Rule, error) {
	set, err := pack.Rules(catalog.All)
	if err != nil || dir == "" {
		return set, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	more, err := pack.Load(catalog.All, os.DirFS(dir), dir)
	if err != nil {
		return nil, err
	}
	shipped := map[string]bool{}
	for _, r := range set {
		shipped[r.ID] = true
	}
	for _, r := range more {
		if shipped[r.ID] {
			return nil, fmt.Errorf("%s:%d: rule %s is also in the shipped pack", r.File, r.Line, r.ID)
		}
	}
	return append(set, more...), nil
}

// readPackets feeds one capture file to table, and to a desk if that is not nil, which has each packet first, up to a
// packet time if that is not zero; then it flushes table. On damage, all packets before it have been fed.
func readPackets(ctx context.Context, path string, table *flow.Table, desk *evidence.Desk, until time.Time) error {
	file, err := capture.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	defer table.Flush()
	var p capture.Packet
	for {
		switch err := file.Next(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !until.IsZero() && p.At >= until.UnixNano():
			return nil
		}
		desk.Packet(&p)
		table.Packet(&p)
		if p.Frame%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// findings keeps each alert once, in the order in which they were raised, as it was emitted last.
type findings struct {
	order []*rules.Alert
	byID  map[string]*rules.Alert
}

func (f *findings) take(a *rules.Alert) {
	if known := f.byID[a.ID]; known != nil {
		*known = *a
		return
	}
	f.byID[a.ID] = a
	f.order = append(f.order, a)
}

func (f *findings) write(out *Lines) {
	for _, a := range f.order {
		out.Write(a)
	}
}

// outputs are the open files of a replay.
type outputs struct {
	events, alerts, ledger, coverage, assets *Lines
}

func (r *Replaying) openAll() (*outputs, error) {
	out := &outputs{}
	for _, o := range []struct {
		name string
		to   **Lines
	}{{r.Events, &out.events}, {r.Alerts, &out.alerts}, {r.Ledger, &out.ledger}, {r.Coverage, &out.coverage}, {r.Assets, &out.assets}} {
		lines, err := OpenLines(o.name)
		if err != nil {
			return nil, err
		}
		*o.to = lines
	}
	return out, nil
}

func (o *outputs) close() error {
	var errs []error
	for _, l := range []*Lines{o.events, o.alerts, o.ledger, o.coverage, o.assets} {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
