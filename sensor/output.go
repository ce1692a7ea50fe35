package sensor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Lines writes JSON Lines to a file or to standard output. The zero value, and the one of an empty name, writes
// nothing. A write error is kept, and returned by Close.
type Lines struct {
	w   *bufio.Writer
	c   io.Closer
	buf []byte
	err error
}

// OpenLines opens name for writing; "-" is standard output, "" nothing.
func OpenLines(name string) (*Lines, error) {
	switch name {
	case "":
		return &Lines{}, nil
	case "-":
		return &Lines{w: bufio.NewWriterSize(os.Stdout, 1<<16), c: io.NopCloser(nil)}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("write output: %w", err)
	}
	return &Lines{w: bufio.NewWriterSize(f, 1<<16), c: f}, nil
}

// On says whether anything is written; a caller need not make what goes nowhere.
func (l *Lines) On() bool { return l.w != nil }

// Append writes the line that appendJSON appends to the buffer it is given.
func (l *Lines) Append(appendJSON func([]byte) []byte) {
	if l.w == nil {
		return
	}
	l.buf = append(appendJSON(l.buf[:0]), '\n')
	_, err := l.w.Write(l.buf)
	l.keep(err)
}

// Write writes v as one line.
func (l *Lines) Write(v any) {
	if l.w == nil {
		return
	}
	line, err := json.Marshal(v)
	if err == nil {
		_, err = l.w.Write(append(line, '\n'))
	}
	l.keep(err)
}

func (l *Lines) keep(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Flush hands what was written to the operating system.
func (l *Lines) Flush() {
	if l.w != nil {
		l.keep(l.w.Flush())
	}
}

// Close flushes and closes the file, and returns the first error there was.
func (l *Lines) Close() error {
	if l.w == nil {
		return nil
	}
	l.Flush()
	return errors.Join(l.err, l.c.Close())
}
