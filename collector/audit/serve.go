package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/roje-ot/roje/collector/account"
)

// Routes lists the addresses of the log. Everybody may have the latest checkpoint and the keys, as a root is worth what
// others have kept of it; it tells of the log its size and a hash. Who may read the record gets entries and proofs.
func (l *Log) Routes() []account.Route {
	ask := func(path string, answer func(numbers) (any, error), params ...string) account.Route {
		return account.Route{Pattern: "GET /audit/" + path, Door: account.API, Roles: account.Auditors, Handler: func(w http.ResponseWriter, r *http.Request) {
			n, err := readNumbers(r, params)
			var out any
			if err == nil {
				out, err = answer(n)
			}
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				out = map[string]string{"error": err.Error()}
			}
			json.NewEncoder(w).Encode(out)
		}}
	}
	text := func(path string, text func() string) account.Route {
		return account.Route{Pattern: "GET /audit/" + path, Door: account.Open, Handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, text())
		}}
	}
	return []account.Route{
		text("checkpoint", func() string { return string(l.Latest().Note) }),
		text("keys", func() string { return strings.Join(l.Keys(), "\n") + "\n" }),
		ask("entries", l.answerEntries, "from"),
		ask("proof", l.answerProof, "entry", "size"),
		ask("growth", l.answerGrowth, "from", "size"),
	}
}

// Keys are the public keys of the collectors that sign, in the order in which they came.
func (l *Log) Keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.keys...)
}

// numbers are the parameters of a request; one that is not given is -1.
type numbers map[string]int64

func readNumbers(r *http.Request, names []string) (numbers, error) {
	n := numbers{}
	for _, name := range names {
		n[name] = -1
		if text := r.FormValue(name); text != "" {
			v, err := strconv.ParseInt(text, 10, 64)
			if err != nil || v < 0 {
				return nil, fmt.Errorf("%s is a number from 0", name)
			}
			n[name] = v
		}
	}
	return n, nil
}

// size is the size that was asked for, or that of the latest checkpoint.
func (l *Log) sizeAsked(n numbers) (int64, error) {
	have, _ := l.Size()
	switch size := n["size"]; {
	case size < 0:
		return l.Latest().Size, nil
	case size > have:
		return 0, fmt.Errorf("size %d: the log has %d entries", size, have)
	default:
		return size, nil
	}
}

// mostEntries is how many entries an answer has.
const mostEntries = 500

// answerEntries lists entries from a place on, as the bytes that are hashed.
func (l *Log) answerEntries(n numbers) (any, error) {
	lines, err := l.lines(max(n["from"], 0), mostEntries)
	return map[string]any{"from": max(n["from"], 0), "entries": lines}, err
}

func (l *Log) answerProof(n numbers) (any, error) {
	size, err := l.sizeAsked(n)
	if err != nil {
		return nil, err
	}
	entry := n["entry"]
	if entry < 0 || entry >= size {
		return nil, fmt.Errorf("entry is a number below the size, %d", size)
	}
	p := Proof{Entry: &entry, Size: size}
	lines, err := l.lines(entry, 1)
	if err == nil {
		p.Leaf = lines[0]
		p.Hashes, err = l.ProveEntry(Checkpoint{Size: size}, entry)
	}
	return l.rooted(p, err)
}

func (l *Log) answerGrowth(n numbers) (any, error) {
	size, err := l.sizeAsked(n)
	if err != nil {
		return nil, err
	}
	from := n["from"]
	if from < 1 || from > size {
		return nil, fmt.Errorf("from is a number from 1 to the size, %d", size)
	}
	p := Proof{From: &from, Size: size}
	p.Hashes, err = l.ProveGrowth(Checkpoint{Size: from}, Checkpoint{Size: size})
	return l.rooted(p, err)
}

func (l *Log) rooted(p Proof, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Root, err = tlog.TreeHash(p.Size, l.reader())
	if p.Hashes == nil {
		p.Hashes = []tlog.Hash{}
	}
	return p, err
}
