package share

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// An Object is a STIX 2.1 object by its members.
type Object map[string]any

// ID is the object's identifier, "type--uuid".
func (o Object) ID() string { return o.text("id") }

// Type is the object's type.
func (o Object) Type() string { return o.text("type") }

// Version is the object's version, its modified time, or its created time if it has no other. It is "" for a
// cyber-observable object, which has no versions: the date it was added stands in (TAXII 2.1 §3.4).
func (o Object) Version() string {
	if v := o.text("modified"); v != "" {
		return v
	}
	return o.text("created")
}

func (o Object) text(member string) string {
	s, _ := o[member].(string)
	return s
}

// JSON is the object as it leaves.
func (o Object) JSON() json.RawMessage {
	text, err := canonical(o)
	if err != nil {
		panic(err) // objects are made here, of strings, numbers and maps
	}
	return text
}

// scoNamespace is the namespace of cyber-observable identifiers (STIX 2.1 §2.9); ownNamespace is that of the objects
// which are Roje's own.
var (
	scoNamespace = uuid.MustParse("00abedb4-aa42-466c-9c01-fed23315a9b7")
	ownNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/roje-ot/roje/share"))
)

// ownID is the identifier of one of our own objects: the same words give the same identifier on every collector.
func ownID(kind string, words ...string) string {
	name := []byte(kind)
	for _, w := range words {
		name = append(append(name, 0), w...)
	}
	return kind + "--" + uuid.NewSHA1(ownNamespace, name).String()
}

// observable completes a cyber-observable object: its identifier is made of the named members, those which are there.
func observable(kind string, members Object, contributing ...string) Object {
	part := make(Object, len(contributing))
	for _, name := range contributing {
		if v, ok := members[name]; ok {
			part[name] = v
		}
	}
	members["type"], members["spec_version"] = kind, "2.1"
	members["id"] = kind + "--" + uuid.NewSHA1(scoNamespace, part.JSON()).String()
	return members
}

// stamp renders a time for created and modified, which have exactly three decimals (STIX 2.1 §3.2).
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// instant renders any other time: as many decimals as it needs, at most six.
func instant(t time.Time) string {
	return t.UTC().Truncate(time.Microsecond).Format("2006-01-02T15:04:05.999999Z")
}
