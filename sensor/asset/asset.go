package asset

import (
	"encoding/json"
	"net/netip"
	"time"
)

// An Asset is one device. As JSON it is one line of --assets, and the record that is shipped to the collector; the
// latest of an id replaces those before it.
type Asset struct {
	ID      string       `json:"id"` // stable: made of the first address that was heard, and kept when addresses change
	Addrs   []netip.Addr `json:"addrs,omitempty"`
	MACs    []Link       `json:"macs,omitempty"`
	VLANs   []uint16     `json:"vlans,omitempty"`
	Vendor  string       `json:"vendor"`              // "unknown" where nothing tells
	By      string       `json:"vendor_by,omitempty"` // oui, or what the device said it with
	Ident   *Ident       `json:"ident,omitempty"`     // what the device said of itself, where it speaks for itself alone
	Roles   []string     `json:"roles,omitempty"`
	Parts   []*Part      `json:"parts,omitempty"`
	Serves  []*Service   `json:"services,omitempty"`
	Peers   []netip.Addr `json:"peers,omitempty"`   // over control protocols; at most 64
	Traffic []*Traffic   `json:"traffic,omitempty"` // beside control protocols, by the kernel's counts; at most 32
	Changes []Change     `json:"changes,omitempty"` // the latest 64, oldest first
	First   Time         `json:"first"`
	Last    Time         `json:"last"`
}

// A Link is a link-layer address of a device.
type Link struct {
	MAC    string `json:"mac"`
	By     string `json:"by"` // arp: the device's own; frame: its own or a router's
	Vendor string `json:"vendor,omitempty"`
	First  Time   `json:"first"`
	Last   Time   `json:"last"`
}

// A Part is a sub-address that answers at a device: a Modbus unit, a DNP3 outstation, a 104 common address.
type Part struct {
	Proto     string `json:"proto"`
	Station   uint32 `json:"station"`
	Ident     *Ident `json:"ident,omitempty"`
	Restarted *Time  `json:"restarted,omitempty"` // latest end of initialisation that it reported
	First     Time   `json:"first"`
	Last      Time   `json:"last"`
}

// An Ident is what a device said of itself. By names the message that said it.
type Ident struct {
	Vendor   string `json:"vendor,omitempty"`
	Model    string `json:"model,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	Hardware string `json:"hardware,omitempty"`
	Serial   string `json:"serial,omitempty"`
	Name     string `json:"name,omitempty"`
	Location string `json:"location,omitempty"`
	By       string `json:"by"`
}

// A Service is a protocol that a device answers, and on which port.
type Service struct {
	Proto     string `json:"proto"`
	Transport string `json:"transport"`
	Port      uint16 `json:"port"`
	First     Time   `json:"first"`
	Last      Time   `json:"last"`
}

// Traffic is what the kernel has counted between a device and a peer without keeping it.
type Traffic struct {
	Peer     string `json:"peer"`
	Protocol uint8  `json:"protocol,omitempty"` // of IP
	Ether    uint16 `json:"ether,omitempty"`    // ethertype, where it is not IP
	Port     uint16 `json:"port,omitempty"`     // the lower of the two
	Frames   uint64 `json:"frames"`
	Bytes    uint64 `json:"bytes"`
}

// A Change is one line of a device's history.
type Change struct {
	At   Time   `json:"at"`
	What string `json:"what"` // address, mac, role, part, service, vendor, model, firmware, ...
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// A Time is packet time, Unix nanoseconds. As JSON it is RFC 3339, UTC.
type Time int64

// MarshalJSON gives the time as a string.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(time.Unix(0, int64(t)).UTC()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Time) UnmarshalJSON(text []byte) error {
	var at time.Time
	if err := json.Unmarshal(text, &at); err != nil {
		return err
	}
	*t = Time(at.UnixNano())
	return nil
}

// Caps of one device's lists.
const (
	maxAddrs   = 64
	maxMACs    = 8
	maxVLANs   = 16
	maxParts   = 256
	maxServes  = 64
	maxPeers   = 64
	maxTraffic = 32
	maxChanges = 64
	maxText    = 128 // bytes of one thing that a device says of itself
)

// change adds a line to the history.
func (a *Asset) change(at int64, what, from, to string) {
	if len(a.Changes) >= maxChanges {
		a.Changes = append(a.Changes[:0], a.Changes[1:]...)
	}
	a.Changes = append(a.Changes, Change{Time(at), what, from, to})
}
