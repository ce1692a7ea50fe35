package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What authenticator apps take without being told: RFC 6238 with HMAC-SHA-1, six digits, 30 seconds. One step before and
// one after the present are taken too (§5.2), as a phone's clock is off and a person slow.
const (
	totpStep   = 30 // seconds
	totpDigits = 6
	totpAround = 1  // steps
	secretLen  = 20 // bytes: RFC 4226 §4 asks for 160 bits
)

// NewSecret draws the key of a second factor.
func NewSecret() []byte {
	secret := make([]byte, secretLen)
	rand.Read(secret)
	return secret
}

// SecretText is a key as people type it into an app.
func SecretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// SecretURL is a key as a QR code carries it: otpauth://totp/..., the form that authenticator apps read.
func SecretURL(issuer, name string, secret []byte) string {
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + name}
	u.RawQuery = strings.ReplaceAll(url.Values{"secret": {SecretText(secret)}, "issuer": {issuer}, "period": {fmt.Sprint(totpStep)}, "digits": {fmt.Sprint(totpDigits)}}.Encode(), "+", "%20")
	return u.String()
}

// hotp is the code of a counter (RFC 4226 §5.3).
func hotp(secret []byte, counter int64) string {
	mac := hmac.New(sha1.New, secret)
	binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%0*d", totpDigits, (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// CodeAt is the code that an app with the key shows at a time.
func CodeAt(secret []byte, at time.Time) string { return hotp(secret, at.Unix()/totpStep) }

// codeStep returns the time step whose code this is, later than after; 0 if there is none. It takes as long for a wrong
// code as for a right one.
func codeStep(secret []byte, code string, now time.Time, after int64) (step int64) {
	present := now.Unix() / totpStep
	for s := present - totpAround; s <= present+totpAround; s++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, s)), []byte(code)) == 1 && s > after && step == 0 {
			step = s
		}
	}
	return step
}
