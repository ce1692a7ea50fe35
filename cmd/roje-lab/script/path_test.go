package script

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPath holds that a path is recorded the same for the same seed, that its taps see the same frames of the station
// where nobody is between them, and that what it cannot play is an error.
func TestPath(t *testing.T) {
	start := time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)
	made := func(p Path) (near, far []byte) {
		dir := t.TempDir()
		if err := p.Make(dir, 1); err != nil {
			t.Fatal(err)
		}
		near, errNear := os.ReadFile(filepath.Join(dir, NearFile))
		far, errFar := os.ReadFile(filepath.Join(dir, FarFile))
		if errNear != nil || errFar != nil || len(far) < 4096 || len(far) >= len(near) {
			t.Fatalf("%d bytes near, %v, and %d far, %v", len(near), errNear, len(far), errFar)
		}
		return near, far
	}
	near, far := made(Path{Start: start})
	turnedNear, turnedFar := made(Path{Start: start, Turns: 5})
	_, short := made(Path{Start: start, Lost: 10})
	if again, same := made(Path{Start: start, Turns: 5}); !bytes.Equal(again, turnedNear) || !bytes.Equal(same, turnedFar) {
		t.Error("made again, it is another one")
	}
	if bytes.Equal(far, turnedFar) || len(short) >= len(far) {
		t.Errorf("far: %d bytes, %d with a turned command, %d with losses", len(far), len(turnedFar), len(short))
	}
	if bytes.Count(near, far[len(far)-20:]) == 0 {
		t.Error("what the far tap saw at last did not come by near")
	}
	for _, p := range []Path{{Lost: -1}, {Turns: -1}, {Turns: switchings + 1}} {
		if p.Make(t.TempDir(), 1) == nil {
			t.Errorf("%+v is made", p)
		}
	}
}
