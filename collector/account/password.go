package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of argon2id: 19 MiB, two passes, one lane, which OWASP's password storage cheat sheet names as a minimum.
// A hash says its own cost, so these may be raised without locking anybody out.
const (
	argonTime   = 2
	argonMemory = 19 * 1024 // KiB
	argonLanes  = 1
	argonKey    = 32
	saltLen     = 16
)

// hashing bounds how many hashes are computed at once, and so the memory that sign-ins can take.
var hashing = make(chan struct{}, 4)

// Password lengths, in characters and bytes.
const (
	PasswordLeast = 12
	passwordMost  = 1024
)

// CheckPassword says what is wrong with a new password, nil if nothing.
func CheckPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < PasswordLeast:
		return fmt.Errorf("a password has at least %d characters", PasswordLeast)
	case len(password) > passwordMost:
		return fmt.Errorf("a password has at most %d bytes", passwordMost)
	case strings.EqualFold(password, name):
		return errors.New("a password is not the user's name")
	case strings.Count(password, password[:1]) == len(password):
		return errors.New("a password is not one character repeated")
	}
	return nil
}

// Hash returns the argon2id hash of password in the usual form, "$argon2id$v=19$m=19456,t=2,p=1$salt$key".
func Hash(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(derive(password, salt, argonTime, argonMemory, argonLanes, argonKey)))
}

var b64 = base64.RawStdEncoding

func derive(password string, salt []byte, time, memory uint32, lanes uint8, size uint32) []byte {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, size)
}

// Verify says whether hash is that of password. A hash it cannot read matches nothing.
func Verify(hash, password string) bool {
	if len(password) > passwordMost {
		return false
	}
	part := strings.Split(hash, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" {
		return false
	}
	var version int
	var memory, time uint32
	var lanes uint8
	if _, err := fmt.Sscanf(part[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &memory, &time, &lanes); err != nil || memory > 1<<20 || time == 0 || time > 64 || lanes == 0 {
		return false
	}
	salt, err := b64.DecodeString(part[4])
	if err != nil {
		return false
	}
	key, err := b64.DecodeString(part[5])
	if err != nil || len(key) < 16 || len(key) > 128 {
		return false
	}
	return subtle.ConstantTimeCompare(key, derive(password, salt, time, memory, lanes, uint32(len(key)))) == 1
}

// OneTime returns a random password that a person can type: 20 letters and digits (100 bits) in groups of five.
func OneTime() string {
	const alphabet = "abcdefghjkmnpqrstuvwxyz023456789" // 32, without i, l, o, 1
	raw := make([]byte, 20)
	rand.Read(raw)
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[c%32])
	}
	return b.String()
}
