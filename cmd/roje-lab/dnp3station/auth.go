package dnp3station

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// sessionKey is the key of the lab's only user. It protects nothing.
var sessionKey = []byte("roje lab session key, not secret")

const macAlgorithm = 4 // HMAC-SHA-256 truncated to 16 octets (Annex A, group 120)

// challenge is a request that waits for its proof.
type challenge struct {
	request  *request
	number   uint32 // challenge sequence number
	question []byte // the challenge object, which the proof covers
}

// mac is the proof for a challenge and the request that was challenged (clause 7.5.2.3).
func mac(question, fragment []byte) []byte {
	h := hmac.New(sha256.New, sessionKey)
	h.Write(question)
	h.Write(fragment)
	return h.Sum(nil)[:16]
}

// ask challenges a request (group 120, variation 1).
func (d *duty) ask(r *request) error {
	c := &challenge{request: r, number: 1}
	if d.challenge != nil {
		c.number = d.challenge.number + 1
	}
	nonce := sha256.Sum256(append(le32(c.number), r.raw...))
	c.question = append(append(append(le32(c.number), le16(1)...), macAlgorithm, 1), nonce[:8]...)
	d.challenge = c
	iin := d.indications()
	fragment := append([]byte{0xc0 | r.seq, AuthResponse, byte(iin), byte(iin >> 8)}, Free(120, 1, c.question...)...)
	return d.send(r.master, d.Address, fragment)
}

// authenticated carries the challenged request out if the proof (variation 2) is right, else says why not (variation 7).
func (d *duty) authenticated(r *request) error {
	c, b := d.challenge, r.object()
	if c == nil || c.request == nil || len(b) < 22 {
		return d.respond(r, iinParameter)
	}
	asked := c.request
	c.request = nil
	if binary.LittleEndian.Uint32(b) != c.number || subtle.ConstantTimeCompare(b[6:22], mac(c.question, asked.raw)) == 0 {
		failed := append(append(append(le32(c.number), le16(1)...), le16(1)...), 1) // association 1, error 1
		iin := d.indications()
		fragment := append([]byte{0xc0 | r.seq, AuthResponse, byte(iin), byte(iin >> 8)}, Free(120, 7, append(failed, le48(d.Clock.Now())...)...)...)
		return d.send(r.master, d.Address, fragment)
	}
	return functions[asked.fc](d, asked)
}
