// Package outward is what the collector needs where it is a client itself: to ask an identity provider, or the collector of an
// operator.
package outward

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// timeout bounds a request, its answer included.
const timeout = 15 * time.Second

// Client trusts the certificates of a PEM file beside the system's; caFile "" is the system's alone.
func Client(caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	return &http.Client{Transport: transport, Timeout: timeout}, nil
}

// Secret is the first line of a file.
func Secret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("%s holds no secret", file)
	}
	return line, nil
}

// Safe is nil for an https address, or one of this machine. risk is what could happen otherwise.
func Safe(address, risk string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is no https address with a host", address)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())) {
		return fmt.Errorf("%q is not https, so %s", address, risk)
	}
	return nil
}
