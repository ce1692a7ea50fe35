package script

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"

	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Truth is what is known of one capture because the lab made it.
type Truth struct {
	File     string       `json:"file"`
	SHA256   string       `json:"sha256"`
	About    string       `json:"about"`
	Start    time.Time    `json:"start"`
	End      time.Time    `json:"end"`
	Packets  int          `json:"packets"`
	Messages tally.Counts `json:"messages"`
	Acts     []Performed  `json:"acts,omitempty"`
}

// Take is one capture to make.
type Take struct {
	File   string // below the output folder; .pcap or .pcapng, each with .gz if wanted
	About  string
	Start  time.Time
	Lead   time.Duration // plays before the recording starts, so that sessions are joined in the middle
	Length time.Duration
	Pace   time.Duration
	Play   func(*Stage)
}

// recording writes frames to a file.
type recording struct {
	truth Truth
	file  *os.File
	sum   hash.Hash
	buf   *bufio.Writer
	zip   *gzip.Writer
	write func(gopacket.CaptureInfo, []byte) error
	flush func() error
	err   error
}

// record opens the file. Everything written to it is the same for the same frames.
func record(path string) (*recording, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &recording{file: f, sum: sha256.New(), flush: func() error { return nil }}
	var w io.Writer = io.MultiWriter(f, r.sum)
	if strings.HasSuffix(path, ".gz") {
		if r.zip, err = gzip.NewWriterLevel(w, gzip.BestCompression); err != nil {
			return nil, err
		}
		w = r.zip
	}
	r.buf = bufio.NewWriter(w)
	if strings.Contains(path, ".pcapng") {
		err = r.pcapng()
	} else {
		pcap := pcapgo.NewWriterNanos(r.buf)
		r.write = pcap.WritePacket
		err = pcap.WriteFileHeader(65535, layers.LinkTypeEthernet)
	}
	return r, err
}

func (r *recording) pcapng() error {
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "roje-lab", Comment: "made by roje-lab; no real network was recorded"}}
	port := pcapgo.NgInterface{Name: "span0", LinkType: layers.LinkTypeEthernet, SnapLength: 65535, TimestampResolution: 9}
	ng, err := pcapgo.NewNgWriterInterface(r.buf, port, options)
	if err != nil {
		return err
	}
	r.write, r.flush = ng.WritePacket, ng.Flush
	return nil
}

// frame is the tap.
func (r *recording) frame(at time.Time, b []byte) {
	if r.err != nil {
		return
	}
	if r.truth.Packets == 0 {
		r.truth.Start = at.UTC()
	}
	r.truth.End = at.UTC()
	r.truth.Packets++
	r.err = r.write(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b), Length: len(b)}, b)
}

// close ends the file.
func (r *recording) close() error {
	err := errors.Join(r.err, r.flush(), r.buf.Flush())
	if r.zip != nil {
		err = errors.Join(err, r.zip.Close())
	}
	r.truth.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	return errors.Join(err, r.file.Close())
}

// Make plays a take in virtual time into a file below dir, and returns what is true of it.
func (t Take) Make(dir string, seed uint64) (Truth, error) {
	r, err := record(filepath.Join(dir, t.File))
	if err != nil {
		return Truth{}, err
	}
	s := virtual(t.Start.Add(-t.Lead), seed, t.Pace, func(at time.Time, b []byte) {
		if !at.Before(t.Start) {
			r.frame(at, b)
		}
	})
	if t.Lead > 0 {
		s.after("scada-a", t.Lead, s.Tally.Reset) // what was said before is in no frame
	}
	t.Play(s)
	s.net.Run(t.Start.Add(t.Length))
	if err := errors.Join(append(s.Failures(), r.close())...); err != nil {
		return Truth{}, fmt.Errorf("%s: %w", t.File, err)
	}
	r.truth.File, r.truth.About = t.File, t.About
	r.truth.Messages, r.truth.Acts = s.Tally.Counts(), s.acts
	return r.truth, nil
}
