package spool

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"go.etcd.io/bbolt"
)

// A Limit is how large an envelope may become. At least one record goes in.
type Limit struct {
	Bytes   int // of records before they are packed; 0 or more than 4 MiB is 4 MiB
	Records int // 0 or more than 10,000 is 10,000
}

// A Stamp is when an envelope is sealed.
type Stamp struct {
	Wall time.Time
	Mono time.Duration // since the process began
}

var errEmpty = errors.New("nothing to seal")

// Bind says whose records these are. If they were another sensor's before, as after a new enrolment, the spool begins
// a new epoch: see Renew.
func (s *Spool) Bind(operator, sensor string) error {
	if err := batch.CheckName("an operator", operator); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := batch.CheckName("a sensor", sensor); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.mu.Lock()
	had := [2]string{s.state.Operator, s.state.Sensor}
	s.mu.Unlock()
	if had == [2]string{operator, sensor} {
		return nil
	}
	return s.run(&job{do: func(tx *bbolt.Tx, st *state) error {
		if st.Sensor != "" {
			if err := st.renew(tx); err != nil {
				return err
			}
		}
		st.Operator, st.Sensor = operator, sensor
		return nil
	}})
}

// Renew begins a new epoch and takes back what is sealed. It is the way out where the collector knows other envelopes of
// this epoch, as when the sensor's disk was restored from a copy: what waits is then delivered under the new epoch.
func (s *Spool) Renew() error {
	return s.run(&job{do: func(tx *bbolt.Tx, st *state) error { return st.renew(tx) }})
}

func (st *state) renew(tx *bbolt.Tx) error {
	for i := range st.Lanes {
		if err := st.unseal(tx, batch.Lane(i)); err != nil {
			return err
		}
	}
	if err := st.tellLosses(tx); err != nil {
		return err
	}
	st.Epoch = newEpoch()
	for i := range st.Lanes {
		l := &st.Lanes[i]
		l.Prev, l.Base = batch.Hash{}, l.Next
		if k, _ := tx.Bucket(bucketLane[i]).Cursor().First(); k != nil {
			l.Base = binary.BigEndian.Uint64(k)
		}
	}
	return nil
}

// unseal puts the records of a sealed envelope back into their lane.
func (st *state) unseal(tx *bbolt.Tx, lane batch.Lane) error {
	raw := tx.Bucket(bucketSealed).Get([]byte{byte(lane)})
	if raw == nil {
		return nil
	}
	e, _, err := batch.Decode(append([]byte(nil), raw...))
	if err != nil {
		return err
	}
	records, err := e.Records()
	if err != nil {
		return err
	}
	l := &st.Lanes[lane]
	for _, r := range records {
		it := Item{Kind: r.Kind, Lane: lane, At: e.First, Body: r.Body}
		if err := putRecord(tx, lane, r.Seq, &it); err != nil {
			return err
		}
		l.Count++
		l.Bytes += size(&it)
	}
	return st.forget(tx, lane)
}

// forget removes a lane's sealed envelope.
func (st *state) forget(tx *bbolt.Tx, lane batch.Lane) error {
	l := &st.Lanes[lane]
	l.SealedFrom, l.SealedTo, l.Sealed = 0, 0, 0
	return tx.Bucket(bucketSealed).Delete([]byte{byte(lane)})
}

// Next returns the envelope that is due in a lane: the one that was sealed before and is not acknowledged, the same
// bytes each time, or a new one of the oldest records. It returns nil where nothing waits. Bind comes first.
func (s *Spool) Next(lane batch.Lane, limit Limit, key ed25519.PrivateKey, at Stamp) ([]byte, error) {
	if lane >= batch.Lanes {
		return nil, fmt.Errorf("spool: lane %d does not exist", lane)
	}
	s.mu.Lock()
	bound, l, open := s.state.Sensor != "", s.state.Lanes[lane], false
	for _, loss := range s.state.Open {
		open = open || loss != nil && lane == batch.Vital
	}
	s.mu.Unlock()
	var sealed []byte
	switch {
	case !bound:
		return nil, errors.New("spool: it belongs to no sensor yet")
	case l.SealedTo > 0:
		err := s.db.View(func(tx *bbolt.Tx) error {
			sealed = append(sealed, tx.Bucket(bucketSealed).Get([]byte{byte(lane)})...)
			return nil
		})
		return sealed, err
	case l.Count == 0 && !open:
		return nil, nil
	}
	err := s.run(&job{do: func(tx *bbolt.Tx, st *state) (err error) {
		sealed, err = st.seal(tx, lane, limit, key, at)
		return err
	}})
	if errors.Is(err, errEmpty) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

// seal moves the oldest records of a lane, up to the first hole in their numbers, into an envelope.
func (st *state) seal(tx *bbolt.Tx, lane batch.Lane, limit Limit, key ed25519.PrivateKey, at Stamp) ([]byte, error) {
	if limit.Bytes <= 0 || limit.Bytes > 4<<20 {
		limit.Bytes = 4 << 20
	}
	if limit.Records <= 0 || limit.Records > 10000 {
		limit.Records = 10000
	}
	l := &st.Lanes[lane]
	if l.SealedTo > 0 {
		return nil, errors.New("the lane has an envelope already")
	}
	if lane == batch.Vital {
		if err := st.tellLosses(tx); err != nil {
			return nil, err
		}
	}
	h := batch.Header{Sensor: st.Sensor, Operator: st.Operator, Epoch: st.Epoch, Lane: lane, Base: l.Base, Prev: l.Prev, Sealed: at.Wall.UTC(), Mono: at.Mono}
	records, cost, err := st.gather(tx, &h, limit)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errEmpty
	}
	sealed, err := batch.Seal(h, records, key)
	if err != nil {
		return nil, err
	}
	e, _, err := batch.Decode(sealed)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := tx.Bucket(bucketLane[lane]).Delete(binary.BigEndian.AppendUint64(nil, r.Seq)); err != nil {
			return nil, err
		}
	}
	l.Count -= uint64(len(records))
	l.Bytes -= cost
	l.Prev, l.SealedFrom, l.SealedTo, l.Sealed = e.Hash, e.From, e.To, int64(len(sealed))
	return sealed, tx.Bucket(bucketSealed).Put([]byte{byte(lane)}, sealed)
}

// gather reads the records that go into an envelope, and what they cost of the budget; it fills in h's times.
func (st *state) gather(tx *bbolt.Tx, h *batch.Header, limit Limit) (records []batch.Record, cost int64, err error) {
	c := tx.Bucket(bucketLane[h.Lane]).Cursor()
	for k, v := c.First(); k != nil && len(records) < limit.Records; k, v = c.Next() {
		seq := binary.BigEndian.Uint64(k)
		it, err := getRecord(h.Lane, v)
		if err != nil {
			return nil, 0, err
		}
		if n := len(records); n > 0 && (seq != records[n-1].Seq+1 || cost+size(&it) > int64(limit.Bytes)) {
			break
		}
		if len(records) == 0 || it.At.Before(h.First) {
			h.First = it.At
		}
		if len(records) == 0 || it.At.After(h.Last) {
			h.Last = it.At
		}
		records = append(records, batch.Record{Seq: seq, Kind: it.Kind, Body: append(json.RawMessage(nil), it.Body...)})
		cost += size(&it)
	}
	return records, cost, nil
}

// Ack says that the collector has committed everything of a lane of an epoch up to seq. It forgets the lane's envelope if
// that is in it; an Ack of another epoch or of less changes nothing.
func (s *Spool) Ack(epoch string, lane batch.Lane, seq uint64) error {
	if lane >= batch.Lanes {
		return nil
	}
	return s.run(&job{do: func(tx *bbolt.Tx, st *state) error {
		if l := &st.Lanes[lane]; epoch != st.Epoch || l.SealedTo == 0 || seq < l.SealedTo {
			return nil
		}
		return st.forget(tx, lane)
	}})
}
