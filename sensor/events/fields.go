package events

import (
	"encoding/binary"
	"reflect"
	"strings"
)

// A struct of plain fields (what the baseline knows) is stored field by field, in the order of its type. The head of a
// segment has their names and kinds, so that a version whose type has others reads what both have. It is written once
// where it is new to a block, so reflection costs nothing that counts.

// fieldsOf returns the names and kinds of the fields of a struct type.
func fieldsOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		f := t.Field(i)
		names[i] = f.Name + ":" + kindOf(f.Type)
	}
	return names
}

// kindOf names how a field is stored; "" for one that is not.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return "uint"
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.String:
		return "string"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint64 {
			return "uints"
		}
	}
	return ""
}

// appendFields appends the fields of the struct v.
func appendFields(dst []byte, v reflect.Value) []byte {
	for i := range v.NumField() {
		f := v.Field(i)
		switch kindOf(f.Type()) {
		case "bool":
			dst = append(dst, byte(bit(f.Bool(), 0)))
		case "uint":
			dst = binary.AppendUvarint(dst, f.Uint())
		case "int":
			dst = appendInt(dst, f.Int())
		case "float":
			dst = appendFloat(dst, f.Float(), 0)
		case "string":
			dst = appendString(dst, f.String())
		case "uints":
			dst = binary.AppendUvarint(dst, uint64(f.Len()))
			for k := range f.Len() {
				dst = binary.AppendUvarint(dst, f.Index(k).Uint())
			}
		}
	}
	return dst
}

// fields reads into the struct v what a writer whose fields were names has appended.
func (c *cursor) fields(v reflect.Value, names []string) {
	for _, word := range names {
		name, kind, _ := strings.Cut(word, ":")
		f := v.FieldByName(name)
		mine := f.IsValid() && kindOf(f.Type()) == kind
		switch kind {
		case "bool":
			if b := c.u8() != 0; mine {
				f.SetBool(b)
			}
		case "uint":
			if n := c.uint(); mine && !f.OverflowUint(n) {
				f.SetUint(n)
			}
		case "int":
			if n := c.int(); mine && !f.OverflowInt(n) {
				f.SetInt(n)
			}
		case "float":
			if x := c.float(0); mine {
				f.SetFloat(x)
			}
		case "string":
			if s := c.string(); mine {
				f.SetString(s)
			}
		case "uints":
			n := c.uint()
			if n > uint64(len(c.b)) {
				c.bad = true
				return
			}
			var list []uint64
			for range n {
				list = append(list, c.uint())
			}
			if mine {
				f.Set(reflect.ValueOf(list).Convert(f.Type()))
			}
		}
	}
}
