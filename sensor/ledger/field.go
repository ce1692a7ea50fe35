package ledger

import "github.com/roje-ot/roje/protocols"

// number reads the field name of m's own object, or -1: the transaction, the sequence, the cause.
func number(m *protocols.Message, name string) int64 {
	if f := field(m, name); f != nil && f.Int != nil {
		if v, ok := f.Int(m); ok {
			return v
		}
	}
	return -1
}

func flag(m *protocols.Message, name string) bool {
	if f := field(m, name); f != nil && f.Bool != nil {
		v, ok := f.Bool(m)
		return v && ok
	}
	return false
}

func field(m *protocols.Message, name string) *protocols.Field {
	for i := range m.Proto.Field {
		if m.Proto.Field[i].Name == name {
			return &m.Proto.Field[i]
		}
	}
	return nil
}
