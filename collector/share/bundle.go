package share

import (
	"net"
	"net/netip"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/attack"
)

// published is when the objects that say nothing of an alert came to be (the collector's identity, indicators, attack
// patterns); it is fixed so that the same rule is the same object, byte for byte, wherever it is released.
const published = "2026-11-01T00:00:00.000Z"

// collectorID is the identity that makes every object.
var collectorID = ownID("identity", "collector")

// Bundle returns the objects of one release by an operator: each after those it refers to, always in the same order, with the same identifiers
// for the same alert. It is what the console previews and, exactly, what leaves.
// A release under a level that is never released has none, and none has one under pseudonyms that a Mask has not put in.
func Bundle(operator string, r store.Released) []Object {
	if markingID(r.TLP) == "" || r.Masked || r.Group != nil {
		return nil
	}
	b := &bundle{r: &r, operator: operator}
	b.frame()
	indicator := b.rule()
	observed := b.observed()
	sighting := b.sighting(indicator, observed)
	b.note(sighting, observed)
	return b.objects
}

type bundle struct {
	r        *store.Released
	operator string
	objects  []Object
}

// add appends o and returns its identifier.
func (b *bundle) add(o Object) string {
	b.objects = append(b.objects, o)
	return o.ID()
}

// standing adds an object that is the same in every release.
func (b *bundle) standing(kind string, o Object, words ...string) string {
	o["type"], o["spec_version"], o["id"] = kind, "2.1", ownID(kind, words...)
	o["created"], o["modified"] = published, published
	if o["id"] != collectorID {
		o["created_by_ref"] = collectorID
	}
	return b.add(o)
}

// own adds an object of what is released, under its marking. words tell it from others of its kind.
func (b *bundle) own(kind string, o Object, words ...string) string {
	r := b.r
	name := []string{b.operator, r.ID()}
	if r.Group != nil {
		name = []string{b.operator, r.Kind(), r.ID()}
	}
	o["type"], o["spec_version"], o["id"] = kind, "2.1", ownID(kind, append(name, words...)...)
	o["created"], o["modified"], o["created_by_ref"] = stamp(r.Created), stamp(r.Added), collectorID
	o["object_marking_refs"] = []string{markingID(b.r.TLP)}
	if r.Revoked {
		o["revoked"] = true
	}
	return b.add(o)
}

// frame adds what all else refers to: who speaks, the marking, our extension, and the operator.
func (b *bundle) frame() {
	b.standing("identity", Object{
		"name": "Roje collector", "identity_class": "system",
		"description": "Passive monitoring of Modbus, DNP3 and IEC 60870-5-104 networks.",
	}, "collector")
	b.standing("extension-definition", Object{
		"name": "Roje ICS message", "version": "1.0.0", "extension_types": []string{"property-extension"},
		"description": "What a control protocol message said, on a network-traffic object.", "schema": icsSchema,
	}, icsExtension)
	b.add(marking(b.r.TLP))
	b.standing("identity", Object{"name": b.operator, "identity_class": "organization"}, "operator", b.operator)
}

// rule adds the detection rule and the techniques it points to, and returns the indicator.
func (b *bundle) rule() string {
	a := &b.r.Alert.Alert
	indicator := b.standing("indicator", Object{
		"name": "Roje rule " + a.Rule, "description": "Detection rule " + a.Rule + " of the Roje sensor.",
		"indicator_types": []string{"anomalous-activity"},
		"pattern":         a.Rule, "pattern_type": "roje", "valid_from": published,
	}, a.Rule)
	for _, id := range a.Techniques {
		pattern := b.standing("attack-pattern", Object{
			"name": attack.Name(id),
			"external_references": []Object{
				{"source_name": "mitre-attack", "external_id": id, "url": TechniqueURL(id)},
			},
		}, id)
		b.standing("relationship", Object{
			"relationship_type": "indicates", "source_ref": indicator, "target_ref": pattern,
		}, a.Rule, id)
	}
	return indicator
}

// observed adds the traffic and says when and how often it was seen; "" where the alert has no address.
func (b *bundle) observed() string {
	a := &b.r.Alert.Alert
	src, srcPort := b.endpoint(a.Client)
	dst, dstPort := b.endpoint(a.Server)
	if src == nil && dst == nil {
		return ""
	}
	family := src
	if family == nil {
		family = dst
	}
	traffic := Object{"protocols": protocols(family.Type(), a.Proto), "start": instant(a.First), "end": instant(a.Last), "is_active": false}
	refs := []string{}
	for _, end := range []struct {
		host      Object
		ref, port string
		number    uint16
	}{{src, "src_ref", "src_port", srcPort}, {dst, "dst_ref", "dst_port", dstPort}} {
		if end.host == nil {
			continue
		}
		traffic[end.ref] = end.host.ID()
		if end.number != 0 {
			traffic[end.port] = end.number
		}
		if len(refs) == 0 || refs[0] != end.host.ID() {
			refs = append(refs, end.host.ID())
		}
	}
	if ext := extension(a); ext != nil {
		traffic["extensions"] = Object{icsExtensionID: ext}
	}
	traffic["object_marking_refs"] = []string{markingID(b.r.TLP)}
	refs = append(refs, b.add(observable("network-traffic", traffic,
		"start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions")))
	return b.own("observed-data", Object{
		"first_observed": instant(a.First), "last_observed": instant(a.Last),
		"number_observed": times(a.Count), "object_refs": refs,
	})
}

// endpoint adds the address in text and returns it with its port; nil if there is none.
func (b *bundle) endpoint(text string) (Object, uint16) {
	host, port := endpointOf(text)
	if host == nil {
		return nil, 0
	}
	host["object_marking_refs"] = []string{markingID(b.r.TLP)}
	for _, o := range b.objects {
		if o.ID() == host.ID() {
			return host, port
		}
	}
	b.add(host)
	return host, port
}

// endpointOf reads an address, "addr", "addr:port" or a MAC; nil if it is none.
func endpointOf(text string) (Object, uint16) {
	var addr netip.Addr
	var port uint16
	if ap, err := netip.ParseAddrPort(text); err == nil {
		addr, port = ap.Addr().Unmap(), ap.Port()
	} else if ip, err := netip.ParseAddr(text); err == nil {
		addr = ip.Unmap()
	}
	kind, value := "ipv4-addr", addr.WithZone("").String()
	switch {
	case addr.Is6():
		kind = "ipv6-addr"
	case !addr.IsValid():
		mac, err := net.ParseMAC(text)
		if err != nil {
			return nil, 0
		}
		kind, value = "mac-addr", mac.String()
	}
	return observable(kind, Object{"value": value}, "value"), port
}

// sighting adds the finding itself: the rule was seen to fire at the operator's.
func (b *bundle) sighting(indicator, observed string) string {
	a := &b.r.Alert.Alert
	o := Object{
		"sighting_of_ref":    indicator,
		"where_sighted_refs": []string{ownID("identity", "operator", b.operator)},
		"first_seen":         instant(a.First), "last_seen": instant(a.Last), "count": times(a.Count),
		"confidence":  min(max(int(a.Score.Confidence*100+0.5), 0), 100),
		"description": Words(a),
	}
	if observed != "" {
		o["observed_data_refs"] = []string{observed}
	}
	return b.own("sighting", o)
}

// note adds the same facts once more where every consumer shows them.
func (b *bundle) note(sighting, observed string) {
	refs := []string{sighting}
	if observed != "" {
		refs = append(refs, observed)
	}
	b.own("note", Object{"abstract": b.r.Alert.Title, "content": Words(&b.r.Alert.Alert), "object_refs": refs})
}

// times clamps a count to what STIX 2.1 allows (§4.14 number_observed, §5.2 count): 1 to 999,999,999.
func times(n uint64) uint64 { return min(max(n, 1), 999_999_999) }
