package share

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
)

// A MISPEvent is one released alert as a MISP feed has it: a file UUID.json, a line of the manifest, and lines of hashes.csv.
// Its identifiers are the same for the same alert; its timestamp grows with each version, as MISP fetches what is newer.
type MISPEvent struct {
	UUID     string
	Manifest Object // without the attributes
	Event    Object // {"Event": …}
	Hashes   []string
}

// The template of the MISP object that an alert's traffic is (MISP/misp-objects, objects/network-connection).
const (
	mispConnection        = "af16764b-f8e5-4603-9de1-de34d272f80b"
	mispConnectionVersion = "7"
)

// mispThreat is MISP's threat_level_id (1 high, 2 medium, 3 low, 4 undefined).
var mispThreat = map[rules.Severity]string{rules.Critical: "1", rules.High: "1", rules.Medium: "2", rules.Low: "3", rules.Notice: "4"}

// mispColours are those of the taxonomy tlp.
var mispColours = map[store.TLP]string{store.Clear: "#ffffff", store.Green: "#33ff00", store.Amber: "#ffc000", store.AmberStrict: "#ffc000"}

// MISP makes the event of a release by an operator; ok is false for what never leaves. A retraction is the same event, whose
// attributes are deleted.
func MISP(operator string, r store.Released) (e MISPEvent, ok bool) {
	if markingID(r.TLP) == "" || r.Masked {
		return e, false
	}
	a := &r.Alert.Alert
	m := misp{r: &r, event: mispID("event", operator, a.ID)}
	info := a.Title
	if r.Revoked {
		info = "[retracted] " + info
	}
	tags := []Object{{"name": "tlp:" + string(r.TLP), "colour": mispColours[r.TLP]}}
	for _, id := range a.Techniques {
		tags = append(tags, Object{"name": fmt.Sprintf("misp-galaxy:mitre-attack-pattern=%q", attack.Name(id)+" - "+id), "colour": "#0088cc"})
	}
	// a second apart for each version, whatever the clock says
	stamp := fmt.Sprint(r.Added.Unix() + int64(r.Version))
	e = MISPEvent{UUID: m.event, Manifest: Object{
		"Orgc": Object{"name": operator, "uuid": mispID("org", operator)}, "Tag": tags,
		"info": info, "date": a.First.UTC().Format(time.DateOnly), "analysis": "2", "threat_level_id": mispThreat[a.Severity], "timestamp": stamp,
	}}
	event := Object{"uuid": m.event, "published": true, "publish_timestamp": stamp, "distribution": "0", "Attribute": []Object{}, "Object": []Object{}}
	for name, value := range e.Manifest {
		event[name] = value
	}
	m.stamp = stamp
	if c := m.connection(a); c != nil {
		event["Object"] = []Object{c}
	}
	event["Attribute"] = m.attributes(a)
	e.Event, e.Hashes = Object{"Event": event}, m.hashes
	return e, true
}

// mispJSON is an object as the files of a MISP feed have it.
func mispJSON(o Object) []byte {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // objects are made here, of strings, numbers and maps
	}
	return text
}

func mispID(words ...string) string {
	return uuid.NewSHA1(ownNamespace, []byte("misp\x00"+strings.Join(words, "\x00"))).String()
}

type misp struct {
	r      *store.Released
	event  string
	stamp  string
	hashes []string
}

// mispCategories are the categories of the types that we use. Those of the last kind are addresses, which correlate.
var mispCategories = map[string]string{
	"text": "Other", "datetime": "Other", "port": "Other",
	"ip-src": "Network activity", "ip-dst": "Network activity", "mac-address": "Network activity",
}

// attribute makes one and, of an address, its line of hashes.csv.
func (m *misp) attribute(kind, value string, more Object) Object {
	category := mispCategories[kind]
	address := category != "Other"
	o := Object{"uuid": mispID("attribute", m.event, kind, fmt.Sprint(more["object_relation"]), value), "type": kind, "category": category, "value": value,
		"to_ids": false, "timestamp": m.stamp, "distribution": "5", "disable_correlation": !address, "deleted": m.r.Revoked}
	for name, v := range more {
		o[name] = v
	}
	if address && !m.r.Revoked {
		sum := md5.Sum([]byte(value))
		m.hashes = append(m.hashes, hex.EncodeToString(sum[:])+","+m.event)
	}
	return o
}

// connection is the alert's traffic; nil where it has no IP addresses.
func (m *misp) connection(a *rules.Alert) Object {
	var list []Object
	add := func(relation, kind, value string) {
		list = append(list, m.attribute(kind, value, Object{"object_relation": relation}))
	}
	family := ""
	for _, end := range []struct{ text, address, port string }{{a.Client, "ip-src", "src-port"}, {a.Server, "ip-dst", "dst-port"}} {
		host, port := endpointOf(end.text)
		if host == nil || host.Type() == "mac-addr" {
			continue
		}
		family = map[string]string{"ipv4-addr": "IP", "ipv6-addr": "IPv6"}[host.Type()]
		add(end.address, end.address, host.text("value"))
		if port != 0 {
			add(end.port, "port", fmt.Sprint(port))
		}
	}
	if list == nil {
		return nil
	}
	add("layer3-protocol", "text", family)
	if a.Proto != "" {
		add("layer7-protocol", "text", a.Proto)
	}
	add("first-packet-seen", "datetime", a.First.UTC().Format(time.RFC3339Nano))
	return Object{
		"uuid": mispID("object", m.event), "name": "network-connection", "meta-category": "network", "description": "A local or remote network connection.",
		"template_uuid": mispConnection, "template_version": mispConnectionVersion, "timestamp": m.stamp, "distribution": "5", "deleted": m.r.Revoked,
		"first_seen": a.First.UTC().Format(time.RFC3339Nano), "last_seen": a.Last.UTC().Format(time.RFC3339Nano), "Attribute": list,
	}
}

// attributes are the addresses that are no part of a connection, and all the facts in words.
func (m *misp) attributes(a *rules.Alert) []Object {
	list := []Object{}
	for _, text := range []string{a.Client, a.Server} {
		if host, _ := endpointOf(text); host != nil && host.Type() == "mac-addr" {
			list = append(list, m.attribute("mac-address", host.text("value"), nil))
		}
	}
	return append(list, m.attribute("text", Words(a), Object{"comment": "Roje rule " + a.Rule}))
}
