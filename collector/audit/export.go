package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// An export is one file: a line of exported with the key, a line per checkpoint, and then a line per leaf.
type exported struct {
	Version    int    `json:"roje_audit,omitempty"` // 1, in the first line
	Key        string `json:"key,omitempty"`        // in the first line
	Checkpoint string `json:"checkpoint,omitempty"`
	Leaf       string `json:"leaf,omitempty"` // the bytes that are hashed
}

// mostExported is the longest line of an export: a leaf as a JSON string may take six times its bytes.
const mostExported = 6*mostLeaf + 64

// Export writes the log of a folder, which a collector may be writing to, to one file that VerifyExport takes.
func Export(dir string, w io.Writer) error {
	p, closing, err := openFolder(dir)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer closing()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	err = enc.Encode(exported{Version: 1, Key: p.key})
	for _, c := range p.checkpoints {
		err = errors.Join(err, enc.Encode(exported{Checkpoint: string(c)}))
	}
	if err == nil {
		err = eachLine(p.leaves, func(line []byte) error { return enc.Encode(exported{Leaf: string(line)}) })
	}
	if err != nil && !errors.Is(err, errCut) {
		return fmt.Errorf("audit log: %w", err)
	}
	return out.Flush()
}

// VerifyExport verifies what Export wrote.
func VerifyExport(r io.Reader, want Expect, each func(Entry) error) (Report, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, mostExported)
	p := &proof{}
	leaves, feed := io.Pipe()
	p.leaves = leaves
	var first exported
	if !in.Scan() || json.Unmarshal(in.Bytes(), &first) != nil || first.Version != 1 {
		return Report{}, errors.Join(errors.New("this is no export of an audit log that this program knows"), in.Err())
	}
	p.key = first.Key
	more := in.Scan()
	for ; more; more = in.Scan() {
		var line exported
		if err := json.Unmarshal(in.Bytes(), &line); err != nil || line.Checkpoint == "" {
			break
		}
		p.checkpoints = append(p.checkpoints, []byte(line.Checkpoint))
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for ; more; more = in.Scan() {
			var line exported
			if err := json.Unmarshal(in.Bytes(), &line); err != nil {
				feed.CloseWithError(damaged("a line of the export cannot be read"))
				return
			}
			if _, err := io.WriteString(feed, line.Leaf+"\n"); err != nil {
				return // nobody reads any more
			}
		}
		feed.CloseWithError(in.Err())
	}()
	report, err := p.verify(want, each)
	leaves.Close()
	<-fed
	return report, err
}
