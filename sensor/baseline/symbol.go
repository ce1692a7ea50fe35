package baseline

import "github.com/roje-ot/roje/protocols"

// What an operation is called beside its code: the field of a protocol that tells operations of one code apart.
var symbolFields = map[string]struct {
	field  string
	server bool // also of messages from the server
}{
	"modbus": {"sub", true},
	"dnp3":   {"group", false}, // what an outstation reports changes with its events
	"iec104": {"cot", true},
}

// A symbol is symbolFields for one protocol, looked up once.
type symbol struct {
	proto  *protocols.Protocol
	get    func(*protocols.Message) (int64, bool)
	server bool
}

func (b *Baseline) symbol(p *protocols.Protocol) *symbol {
	for i := range b.symbols {
		if b.symbols[i].proto == p {
			return &b.symbols[i]
		}
	}
	s := symbol{proto: p}
	row := symbolFields[p.Name]
	for i := range p.Field {
		if p.Field[i].Name == row.field && p.Field[i].Int != nil {
			s.get, s.server = p.Field[i].Int, row.server
		}
	}
	const most = 64 // protocols that are made again and again belong to tests
	if len(b.symbols) >= most {
		b.symbols = b.symbols[:0]
	}
	b.symbols = append(b.symbols, s)
	return &b.symbols[len(b.symbols)-1]
}

// opKey names the operation of m.
func (b *Baseline) opKey(m *protocols.Message) opKey {
	k := opKey{side: m.From}
	if m.HasStation {
		k.station, k.flags = m.Station, hasStation
	}
	if !m.HasCode {
		k.code = nameCode(m.Name)
		return k
	}
	k.code, k.flags = m.Code, k.flags|hasCode
	if s := b.symbol(m.Proto); s.get != nil && (s.server || m.From == protocols.Client) {
		if v, ok := s.get(m); ok {
			k.sub, k.flags = uint16(v), k.flags|hasSub
		}
	}
	return k
}

// nameCode stands for the code of a message that has only a name (FNV-1a, folded).
func nameCode(name string) uint16 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return uint16(h>>16) ^ uint16(h)
}
