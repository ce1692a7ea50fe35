package spool

import (
	"errors"
	"fmt"
	"syscall"

	"go.etcd.io/bbolt"
)

// A job is items to append, which share a commit with others, or something to do in a commit of its own.
type job struct {
	items  []Item
	do     func(tx *bbolt.Tx, st *state) error
	answer chan error
}

// most is how many Appends share one commit at most.
const most = 256

var errClosed = errors.New("spool: closed")

// run hands j to the writer and waits until it is on disk.
func (s *Spool) run(j *job) error {
	j.answer = make(chan error, 1)
	select {
	case s.jobs <- j:
		return <-j.answer
	case <-s.quit:
		return errClosed
	}
}

// write is the writer: the only goroutine that changes the file and s.state.
func (s *Spool) write() {
	defer close(s.done)
	var left *job // taken while gathering Appends, but no Append
	for {
		j := left
		left = nil
		if j == nil {
			select {
			case j = <-s.jobs:
			case <-s.quit:
				return
			}
		}
		group := []*job{j}
	gather:
		for j.do == nil && len(group) < most {
			select {
			case next := <-s.jobs:
				if next.do != nil {
					left = next
					break gather
				}
				group = append(group, next)
			default:
				break gather
			}
		}
		err := s.commit(group)
		for _, j := range group {
			j.answer <- err
		}
	}
}

// commit does group in one transaction. On an error nothing has changed, on disk or in s.state.
func (s *Spool) commit(group []*job) error {
	next := s.state
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, j := range group {
			for i := range j.items {
				if err := next.put(tx, &j.items[i]); err != nil {
					return err
				}
			}
			if j.do != nil {
				if err := j.do(tx, &next); err != nil {
					return err
				}
			}
		}
		if err := next.trim(tx, s.budget); err != nil {
			return err
		}
		return next.save(tx)
	})
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("spool: the disk of %s is full: %w", s.db.Path(), err)
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.mu.Lock()
	s.state = next
	s.mu.Unlock()
	return nil
}
