package batch

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestRead holds that a stream of envelopes gives each of them, whole, and says where it ends in the middle of one.
func TestRead(t *testing.T) {
	var all [][]byte
	for i := range 3 {
		all = append(all, seal(t, header(), some(uint64(1+i*2), 2)))
	}
	stream := bytes.Join(all, nil)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream))} {
		for i, want := range all {
			got, err := Read(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: envelope %d: %d bytes, %v; want %d", name, i, len(got), err, len(want))
			}
		}
		if _, err := Read(r); err != io.EOF {
			t.Errorf("%s: at the end: %v, want io.EOF", name, err)
		}
	}
	for n := 1; n < len(all[0]); n++ {
		if _, err := Read(bytes.NewReader(all[0][:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for at, want := range map[int]error{0: nil, 4: ErrVersion} {
		bad := bytes.Clone(all[0])
		bad[at] ^= 0x40
		if _, err := Read(bytes.NewReader(bad)); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("byte %d is wrong: %v, want %v", at, err, want)
		}
	}
	huge := bytes.Clone(all[0])
	huge[5] = 0xff
	if _, err := Read(bytes.NewReader(huge)); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a header of 4 GB: %v", err)
	}
}
