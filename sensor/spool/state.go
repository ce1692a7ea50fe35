package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"go.etcd.io/bbolt"
)

// The file: bucket "spool" holds the state under "state"; bucket "lane<n>" the records by number; bucket "sealed" the
// envelopes by lane.
var (
	bucketSpool  = []byte("spool")
	bucketSealed = []byte("sealed")
	keyState     = []byte("state")
	bucketLane   = [batch.Lanes][]byte{[]byte("lane0"), []byte("lane1"), []byte("lane2"), []byte("lane3"), []byte("lane4")}
)

// version is the version of the file.
const version = 1

// A state is what the spool knows of itself. It is written in every commit.
type state struct {
	Version  int                      `json:"version"`
	Epoch    string                   `json:"epoch"`
	Sensor   string                   `json:"sensor,omitempty"` // to whom the epoch belongs: see Bind
	Operator string                   `json:"operator,omitempty"`
	Lanes    [batch.Lanes]laneState   `json:"lanes"`
	Open     [batch.Lanes]*batch.Loss `json:"open"` // losses that no record names yet
	Lost     uint64                   `json:"lost"`
}

type laneState struct {
	Next       uint64     `json:"next"` // number of the next record
	Base       uint64     `json:"base"`
	Prev       batch.Hash `json:"prev"`
	Count      uint64     `json:"count"`       // records that are not sealed
	Bytes      int64      `json:"bytes"`       // of them
	SealedFrom uint64     `json:"sealed_from"` // 0 where nothing is sealed
	SealedTo   uint64     `json:"sealed_to"`
	Sealed     int64      `json:"sealed"` // bytes of the envelope
}

func (st *state) bytes() (n int64) {
	for i := range st.Lanes {
		n += st.Lanes[i].Bytes + st.Lanes[i].Sealed
	}
	return n
}

// load reads the state, or makes the file's first.
func (s *Spool) load() error {
	var text []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketSpool); b != nil {
			text = append(text, b.Get(keyState)...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if text != nil {
		if err := json.Unmarshal(text, &s.state); err != nil {
			return fmt.Errorf("state: %w", err)
		}
		if s.state.Version != version {
			return fmt.Errorf("the spool has version %d, this program reads version %d", s.state.Version, version)
		}
		return nil
	}
	s.state = state{Version: version, Epoch: newEpoch()}
	for i := range s.state.Lanes {
		s.state.Lanes[i].Next, s.state.Lanes[i].Base = 1, 1
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range append([][]byte{bucketSpool, bucketSealed}, bucketLane[:]...) {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return s.state.save(tx)
	})
}

func (st *state) save(tx *bbolt.Tx) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketSpool).Put(keyState, text)
}

// put adds a record at the end of its lane.
func (st *state) put(tx *bbolt.Tx, it *Item) error {
	l := &st.Lanes[it.Lane]
	if err := putRecord(tx, it.Lane, l.Next, it); err != nil {
		return err
	}
	l.Next++
	l.Count++
	l.Bytes += size(it)
	return nil
}

// size is what a record costs of the budget. Loss records are few and cost nothing: to tell of a loss must not make one.
func size(it *Item) int64 {
	if it.Kind == batch.KindLoss {
		return 0
	}
	return int64(len(it.Body)+len(it.Kind)) + overhead
}

// putRecord writes a record: its time, the length of its kind, its kind, its body.
func putRecord(tx *bbolt.Tx, lane batch.Lane, seq uint64, it *Item) error {
	v := make([]byte, 0, 9+len(it.Kind)+len(it.Body))
	at := int64(0)
	if !it.At.IsZero() {
		at = it.At.UnixNano()
	}
	v = binary.BigEndian.AppendUint64(v, uint64(at))
	v = append(append(v, byte(len(it.Kind))), it.Kind...)
	v = append(v, it.Body...)
	return tx.Bucket(bucketLane[lane]).Put(binary.BigEndian.AppendUint64(nil, seq), v)
}

// getRecord reads what putRecord wrote; kind and body are valid until the transaction ends.
func getRecord(lane batch.Lane, v []byte) (Item, error) {
	if len(v) < 9 || len(v) < 9+int(v[8]) {
		return Item{}, errors.New("the spool holds a damaged record")
	}
	n := 9 + int(v[8])
	return Item{Kind: string(v[9:n]), Lane: lane, At: time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC(), Body: v[n:]}, nil
}

// trim drops records until st fits the budget or holds nothing that may be dropped.
func (st *state) trim(tx *bbolt.Tx, budget int64) error {
	for lane := batch.Lane(batch.Lanes); lane > 0 && st.bytes() > budget; lane-- {
		if err := st.trimLane(tx, lane-1, budget); err != nil {
			return err
		}
	}
	return nil
}

func (st *state) trimLane(tx *bbolt.Tx, lane batch.Lane, budget int64) error {
	c := tx.Bucket(bucketLane[lane]).Cursor()
	for k, v := c.First(); k != nil && st.bytes() > budget; {
		it, err := getRecord(lane, v)
		if err != nil {
			return err
		}
		if it.Kind == batch.KindLoss {
			k, v = c.Next()
			continue
		}
		seq := binary.BigEndian.Uint64(k)
		cost := size(&it)
		if err := c.Delete(); err != nil {
			return err
		}
		st.Lanes[lane].Count--
		st.Lanes[lane].Bytes -= cost
		st.lose(lane, seq, it.At)
		k, v = c.Seek(binary.BigEndian.AppendUint64(nil, seq+1))
	}
	return nil
}

// lose notes that a record was dropped.
func (st *state) lose(lane batch.Lane, seq uint64, at time.Time) {
	st.Lost++
	loss := st.Open[lane]
	if loss == nil {
		st.Open[lane] = &batch.Loss{Epoch: st.Epoch, Lane: lane, From: seq, To: seq, Count: 1, First: at, Last: at}
		return
	}
	next := *loss // the committed state may share it
	next.From, next.To = min(loss.From, seq), max(loss.To, seq)
	next.Count++
	if at.Before(next.First) {
		next.First = at
	}
	if at.After(next.Last) {
		next.Last = at
	}
	st.Open[lane] = &next
}

// tellLosses makes records of what was lost. It is called when the lane they travel in is about to be sealed, so that
// a spool that stays full for long holds few of them.
func (st *state) tellLosses(tx *bbolt.Tx) error {
	for i, loss := range st.Open {
		if loss == nil {
			continue
		}
		body, err := json.Marshal(loss)
		if err != nil {
			return err
		}
		if err := st.put(tx, &Item{Kind: batch.KindLoss, Lane: batch.Vital, At: loss.Last, Body: body}); err != nil {
			return err
		}
		st.Open[i] = nil
	}
	return nil
}
