package rules

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// An Alert is one finding: a sentence with its evidence. It owns its memory and names everything, so that a collector
// shows it without a decoder. Its JSON form is the contract of --alerts: fields are added, never changed. It is not
// changed once made; what people do to it (acknowledge, note, release) is the collector's.
type Alert struct {
	ID         string    `json:"id"`
	Rule       string    `json:"rule"`
	Title      string    `json:"title"` // one sentence: who did what to whom, when, what was learned, why it matters
	Severity   Severity  `json:"severity"`
	Techniques []string  `json:"techniques"` // ATT&CK for ICS ids, v19
	First      time.Time `json:"first"`      // packet time, UTC
	Last       time.Time `json:"last"`
	Count      uint64    `json:"count"` // how many events it stands for
	Client     string    `json:"client,omitempty"`
	Server     string    `json:"server,omitempty"`
	Station    *uint32   `json:"station,omitempty"`
	Proto      string    `json:"proto,omitempty"`
	Code       *uint16   `json:"code,omitempty"`
	Name       string    `json:"name,omitempty"`
	Points     []Point   `json:"points,omitempty"` // at most 32
	Learned    string    `json:"learned,omitempty"`
	Observed   string    `json:"observed,omitempty"`
	Score      Score     `json:"score"`
	Frames     []uint64  `json:"frames,omitempty"` // first and latest ten, in replay
	Evidence   *Evidence `json:"evidence,omitempty"`
	Incident   string    `json:"incident,omitempty"`

	Maintenance string `json:"maintenance,omitempty"` // the work during which it came: number, who, until when, why
}

// A Point is a point of an alert, in the words of the event contract.
type Point struct {
	Kind    string     `json:"kind"`
	Addr    uint32     `json:"addr"`
	N       uint32     `json:"n"`
	Value   *float64   `json:"value,omitempty"` // absent too where JSON has no number for it
	Quality string     `json:"quality,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
	Name    string     `json:"name,omitempty"` // what the site's point lists call it
}

// Score says why an alert ranks as it does; each member is 0 to 1.
type Score struct {
	Impact     float64 `json:"impact"`
	Novelty    float64 `json:"novelty"`
	Confidence float64 `json:"confidence"`
}

// Evidence names a capture file that holds the frames of an alert.
type Evidence struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Severity is how bad a finding is. The zero value is the least.
type Severity uint8

// The severities.
const (
	Notice Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"notice", "low", "medium", "high", "critical"}

// SeverityNames returns the words, least first.
func SeverityNames() []string { return severityNames[:] }

func (s Severity) String() string { return severityNames[s] }

// MarshalText gives the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a word; any other is an error that names the right ones.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q; it is one of %s", text, strings.Join(severityNames[:], ", "))
}

// MaxPoints is how many points an alert or a ledger record carries.
const MaxPoints = 32

// PointsOf copies the first MaxPoints points of m in the words of the event contract.
func PointsOf(m *protocols.Message) []Point {
	var points []Point
	for i := range m.Points[:min(len(m.Points), MaxPoints)] {
		p := &m.Points[i]
		out := Point{Kind: p.Kind.String(), Addr: p.Addr, N: p.N}
		if p.Has&protocols.HasValue != 0 && !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			v := p.Value
			out.Value = &v
		}
		if p.Has&protocols.HasQuality != 0 {
			out.Quality = p.Quality.String()
		}
		if p.Has&protocols.HasTime != 0 {
			t := time.Unix(0, p.Time).UTC()
			out.Time = &t
		}
		points = append(points, out)
	}
	return points
}
