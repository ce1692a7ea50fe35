package share

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
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
	if markingID(r.TLP) == "" || r.Masked || r.Group != nil {
		return e, false
	}
	a := &r.Alert.Alert
	m := misp{r: &r, event: mispID("event", operator, a.ID)}
	var objects []Object
	m.stamp = stampOf(&r, r.Added)
	if c := m.connection(a); c != nil {
		objects = []Object{c}
	}
	m.head(operator, a.Title, r.TLP, a.Techniques, a.Severity, a.First)
	return m.made(m.attributes(a), objects), true
}

// mispGroup makes the event of a campaign or a case: all its alerts in one, under the strictest level of any of them.
func mispGroup(operator string, l *leaving) (e MISPEvent, ok bool) {
	if markingID(l.TLP) == "" || l.Masked {
		return e, false
	}
	g := l.Group
	m := misp{r: &l.Released, event: mispID("event", operator, g.Kind, g.Ref), stamp: stampOf(&l.Released, l.touched)}
	attributes := []Object{m.attribute("text", groupWords(g), Object{"comment": "Roje " + g.Kind})}
	objects := []Object{}
	var techniques []string
	for i := range l.members {
		a := &l.members[i].Alert.Alert
		m.of = a.ID
		if c := m.connection(a); c != nil {
			objects = append(objects, c)
		}
		attributes = append(attributes, m.attributes(a)...)
		for _, id := range a.Techniques {
			if !slices.Contains(techniques, id) {
				techniques = append(techniques, id)
			}
		}
	}
	m.head(operator, groupName(g), l.strictest(), techniques, g.Severity, g.First)
	return m.made(attributes, objects), true
}

// stampOf is a version's timestamp: a second apart for each, whatever the clock says.
func stampOf(r *store.Released, at time.Time) string {
	return fmt.Sprint(at.Unix() + int64(r.Version))
}

// head makes the line of the manifest.
func (m *misp) head(operator, info string, tlp store.TLP, techniques []string, severity rules.Severity, first time.Time) {
	if m.r.Revoked {
		info = "[retracted] " + info
	}
	tags := []Object{{"name": "tlp:" + string(tlp), "colour": mispColours[tlp]}}
	for _, id := range techniques {
		tags = append(tags, Object{"name": fmt.Sprintf("misp-galaxy:mitre-attack-pattern=%q", attack.Name(id)+" - "+id), "colour": "#0088cc"})
	}
	m.manifest = Object{
		"Orgc": Object{"name": operator, "uuid": mispID("org", operator)}, "Tag": tags,
		"info": info, "date": first.UTC().Format(time.DateOnly), "analysis": "2", "threat_level_id": mispThreat[severity], "timestamp": m.stamp,
	}
}

// made is the event.
func (m *misp) made(attributes, objects []Object) MISPEvent {
	event := Object{"uuid": m.event, "published": true, "publish_timestamp": m.stamp, "distribution": "0", "Attribute": attributes, "Object": append([]Object{}, objects...)}
	for name, value := range m.manifest {
		event[name] = value
	}
	return MISPEvent{UUID: m.event, Manifest: m.manifest, Event: Object{"Event": event}, Hashes: m.hashes}
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
	r        *store.Released
	event    string
	of       string // in an event of several alerts: which of them
	stamp    string
	manifest Object
	hashes   []string
}

// id is the identifier of a part of the event.
func (m *misp) id(kind string, words ...string) string {
	words = append([]string{kind, m.event}, words...)
	if m.of != "" {
		words = append(words, m.of)
	}
	return mispID(words...)
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
	o := Object{"uuid": m.id("attribute", kind, fmt.Sprint(more["object_relation"]), value), "type": kind, "category": category, "value": value,
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
		"uuid": m.id("object"), "name": "network-connection", "meta-category": "network", "description": "A local or remote network connection.",
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
