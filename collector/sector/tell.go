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

// Tell implements Source: it writes to the operator's audit log, and a letter about the first alert of the operator's part, unless
// there is one. An operator for which too many letters wait has it in its log alone.
func (o Operator) Tell(ctx context.Context, cert string, n Notice, now time.Time) error {
	e := audit.Entry{At: now, Operator: o.Name(), Who: cert, What: audit.Compared, Object: n.Rule,
		Detail: strings.TrimSpace(fmt.Sprintf("%s %s to %s: %d others saw it too", n.Technique, instant(n.First), instant(n.Last), n.Others))}
	about, written, err := o.about(ctx, cert, n)
	if err == nil {
		err = audit.Append(ctx, o.Store, o.Scope, e)
	}
	if err != nil || about == "" || written {
		return err
	}
	_, err = o.Store.SendLetter(ctx, o.Scope, store.Letter{At: now, From: Sender(cert), Kind: store.LetterNote, Alert: about, TLP: store.AmberStrict,
		Text: fmt.Sprintf("The same act, %s, was seen at %s that let %s compare, each alert within an hour of another one. "+
			"They are not named to you, nor are you to them. The collector of %s wrote this by itself, and nobody reads an answer: release the alert to the CERT to speak with it.",
			words(n.Rule, n.Technique), others(n.Others), cert, cert)})
	if errors.Is(err, store.ErrLetter) {
		err = nil
	}
	return err
}

// about is the alert that a notice is of, "" where there is none: it is forgotten, or was released under another name of its
// rule. written says that there is a letter about it.
func (o Operator) about(ctx context.Context, cert string, n Notice) (id string, written bool, err error) {
	alerts, _, err := o.Store.ListAlerts(ctx, o.Scope, store.Filter{Rule: n.Rule, MinSeverity: Least, Since: n.First, Until: n.Last.Add(1), Order: store.ByTime}, "", runsPage)
	if err != nil {
		return "", false, err
	}
	var first time.Time
	for i := range alerts {
		a := &alerts[i]
		if store.Technique(&a.Alert) == n.Technique && !a.First.Before(n.First) && (id == "" || a.First.Before(first)) {
			id, first = a.ID, a.First
		}
	}
	if id == "" {
		return "", false, nil
	}
	before, _, err := o.Store.ListLetters(ctx, o.Scope, store.LetterFilter{From: Sender(cert), Alert: id}, "", 1)
	return id, len(before) > 0, err
}

func others(n int) string {
	if n == 1 {
		return "1 other operator"
	}
	return fmt.Sprintf("%d other operators", n)
}

// words say an act.
func words(rule, technique string) string {
	if technique == "" {
		return rule
	}
	return fmt.Sprintf("%s (%s %s)", rule, technique, attack.Name(technique))
}
