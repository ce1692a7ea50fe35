package oneway

import (
	"errors"
	"fmt"
	"net"
)

// Config says where to send. The zero value says nowhere; exactly one of UDP, TCP and Files says where.
type Config struct {
	UDP          string  `yaml:"udp"`           // host:port
	TCP          string  `yaml:"tcp"`           // host:port, as a rule of the diode's proxy
	Files        string  `yaml:"files"`         // folder
	RateKbit     float64 `yaml:"rate_kbit"`     // most kbit/s that are sent over UDP or TCP; default 256
	Parity       float64 `yaml:"parity"`        // UDP: parity sent for the data, up to 1; default 0.25
	ArchiveBytes int64   `yaml:"archive_bytes"` // of envelopes that were sent and are kept; default 256 MiB
}

// The defaults.
const (
	DefaultRate    = 256
	DefaultParity  = 0.25
	DefaultArchive = 256 << 20
)

// Used says whether c says where to send.
func (c *Config) Used() bool { return *c != Config{} }

// complete is c with the defaults.
func (c Config) complete() Config {
	if c.RateKbit == 0 {
		c.RateKbit = DefaultRate
	}
	if c.Parity == 0 {
		c.Parity = DefaultParity
	}
	if c.ArchiveBytes == 0 {
		c.ArchiveBytes = DefaultArchive
	}
	return c
}

// Check returns all that is wrong with a Config that is used.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("oneway"+format, args...)) }
	ways := 0
	for _, way := range []struct{ name, address string }{{"udp", c.UDP}, {"tcp", c.TCP}} {
		if way.address == "" {
			continue
		}
		ways++
		host, port, err := net.SplitHostPort(way.address)
		if err != nil || host == "" || port == "" || port == "0" {
			bad(".%s: %q is not host:port", way.name, way.address)
		}
	}
	if c.Files != "" {
		ways++
	}
	if ways != 1 {
		bad(": name one of udp, tcp and files; %d are named", ways)
	}
	if !(c.RateKbit == 0 || c.RateKbit >= 1 && c.RateKbit <= 10e6) {
		bad(".rate_kbit is %v; it is from 1 to 10000000", c.RateKbit)
	}
	if c.Files != "" && c.RateKbit != 0 {
		bad(".rate_kbit says nothing about files")
	}
	if !(c.Parity >= 0 && c.Parity <= 1) {
		bad(".parity is %v; it is from 0 to 1", c.Parity)
	}
	if c.Parity != 0 && c.UDP == "" {
		bad(".parity is for udp")
	}
	if c.ArchiveBytes != 0 && c.ArchiveBytes < 1<<20 {
		bad(".archive_bytes is %d; the least is 1048576", c.ArchiveBytes)
	}
	return errors.Join(errs...)
}
