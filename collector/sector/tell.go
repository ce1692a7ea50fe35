package sector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/attack"
)

// Sender is from whom the letters of a CERT's collector are. No user can be called so: an account that the CERT has with the
// operator is not shown them, from which it would learn whose the acts are that nobody released to it.
func Sender(cert string) string { return cert + " (collector)" }

// tell tells the operator of Seen k of a campaign that its part was compared: in its audit log, and by a letter about its first
// alert of it, unless it has one.
func (w *Watcher) tell(ctx context.Context, c *Concurrence, k int, now time.Time) error {
	o, s := &w.Finder.Operators[c.of[k]], &c.Seen[k]
	e := audit.Entry{At: now, Operator: o.Scope.Operator(), Who: w.Finder.CERT, What: audit.Compared, Object: c.Rule,
		Detail: strings.TrimSpace(fmt.Sprintf("%s %s to %s: %d others saw it too", c.Technique, instant(s.First), instant(s.Last), len(c.Seen)-1))}
	err := audit.Append(ctx, o.Store, o.Scope, e)
	if err == nil {
		err = o.write(ctx, c, s, w.Finder.CERT, now)
	}
	if errors.Is(err, store.ErrLetter) { // too many wait: its log says it
		w.Log.Warn("an operator is not written to", "operator", o.Scope.Operator(), "err", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("operator %s: %w", o.Scope.Operator(), err)
	}
	return nil
}

// write sends the letter. An alert that is forgotten, or was released under another name of its rule, is written about to nobody.
func (o *Operator) write(ctx context.Context, c *Concurrence, s *Seen, cert string, now time.Time) error {
	alerts, _, err := o.Store.ListAlerts(ctx, o.Scope, store.Filter{Rule: c.Rule, MinSeverity: Least, Since: s.First, Until: s.Last.Add(1), Order: store.ByTime}, "", runsPage)
	if err != nil {
		return err
	}
	about := -1
	for i := range alerts {
		a := &alerts[i]
		if store.Technique(&a.Alert) == c.Technique && !a.First.Before(s.First) && (about < 0 || a.First.Before(alerts[about].First)) {
			about = i
		}
	}
	if about < 0 {
		return nil
	}
	l := store.Letter{At: now, From: Sender(cert), Kind: store.LetterNote, Alert: alerts[about].ID, TLP: store.AmberStrict,
		Text: fmt.Sprintf("The same act, %s, was seen at %d other operators that let %s compare, each alert within an hour of another one. "+
			"They are not named to you, nor are you to them. The collector of %s wrote this by itself, and nobody reads an answer: release the alert to the CERT to speak with it.",
			c.words(), len(c.Seen)-1, cert, cert)}
	before, _, err := o.Store.ListLetters(ctx, o.Scope, store.LetterFilter{From: l.From, Alert: l.Alert}, "", 1)
	if err == nil && len(before) == 0 {
		_, err = o.Store.SendLetter(ctx, o.Scope, l)
	}
	return err
}

// words say the act.
func (c *Concurrence) words() string {
	if c.Technique == "" {
		return c.Rule
	}
	return fmt.Sprintf("%s (%s %s)", c.Rule, c.Technique, attack.Name(c.Technique))
}
