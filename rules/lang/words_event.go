package lang

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Every word that does not belong to one protocol is one row of the functions in this file and in words_point.go.

var (
	sideNames      = []string{"client", "server"}
	transportNames = []string{rules.TCP.String(), rules.UDP.String()}
	outcomeNames   = []string{rules.Attempted.String(), rules.Accepted.String(), rules.Refused.String()}
	turnNames      = []string{"alone", "request", "response", "late", "duplicate", "unsolicited", "unpaired"}
	phaseNames     = []string{rules.Off.String(), rules.Learn.String(), rules.Enforce.String()}
)

func whoWords() []*Word {
	addr := func(end uint8, name, doc string, of func(*rules.Flow) netip.AddrPort) *Word {
		return &Word{Name: name, Doc: doc, Kind: Addr, end: end, addr: func(env *Env) (netip.Addr, bool) {
			a := of(&env.E.Flow).Addr()
			return a, a.IsValid()
		}}
	}
	port := func(name, doc string, of func(*rules.Flow) netip.AddrPort) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			return int64(of(&env.E.Flow).Port()), env.E.What != rules.ARP
		}}
	}
	mac := func(name, doc string, of func(*rules.Flow) rules.MAC) *Word {
		return &Word{Name: name, Doc: doc, Kind: MAC, mac: func(env *Env) (rules.MAC, bool) {
			m := of(&env.E.Flow)
			return m, m != rules.MAC{}
		}}
	}
	end := func(name, doc string, as protocols.Side) *Word {
		return &Word{Name: name, Doc: doc, Kind: Addr, addr: func(env *Env) (netip.Addr, bool) {
			a := env.E.Flow.Client
			if m := env.E.Msg; m != nil && m.From != as {
				a = env.E.Flow.Server
			}
			return a.Addr(), a.Addr().IsValid() && env.E.Msg != nil
		}}
	}
	client := func(f *rules.Flow) netip.AddrPort { return f.Client }
	server := func(f *rules.Flow) netip.AddrPort { return f.Server }
	return []*Word{
		{Name: "what", Doc: "the kind of event", Kind: Text, Names: rules.WhatNames(), int: func(env *Env) (int64, bool) { return int64(env.E.What), true }},
		addr(1, "client", "who asks or commands, or who opened the connection; of an ARP packet its sender", client),
		addr(2, "server", "who is asked or commanded; of an ARP packet its target", server),
		end("sender", "the end that sent this message", protocols.Client),
		end("receiver", "the end that it was sent to", protocols.Server),
		port("client_port", "its port", client),
		port("server_port", "its port", server),
		mac("client_mac", "link-layer address that the client's packets carry", func(f *rules.Flow) rules.MAC { return f.ClientMAC }),
		mac("server_mac", "link-layer address that the server's packets carry", func(f *rules.Flow) rules.MAC { return f.ServerMAC }),
		{Name: "transport", Doc: "the layer below the protocol", Kind: Text, Names: transportNames,
			int: func(env *Env) (int64, bool) { return int64(env.E.Flow.Transport), env.E.What != rules.ARP }},
		{Name: "outcome", Doc: "how a connection attempt went on", Kind: Text, Names: outcomeNames,
			int: func(env *Env) (int64, bool) { return int64(env.E.Flow.Outcome), env.E.What == rules.Connection }},
		{Name: "ttl", Doc: "time to live or hop limit of the packet: lower by one for each router on its way", Kind: Int,
			int: func(env *Env) (int64, bool) { return int64(env.E.Flow.TTL), env.E.Flow.TTL != 0 }},
		{Name: "session_ttl", Doc: "that of the first packet with content that the same end sent on the connection", Kind: Int,
			int: func(env *Env) (int64, bool) { return int64(env.E.Flow.SessionTTL), env.E.Flow.SessionTTL != 0 }},
		{Name: "rerouted", Doc: "the two differ: the packet has come another way than the first, or from another host", Kind: Bool, need: Rerouted,
			bool: func(env *Env) bool { return env.E.Flow.Rerouted() }},
		{Name: "other_mac", Doc: "the packet carries another link-layer address as its sender than the first packet with content that the same end sent on the connection", Kind: Bool, need: Rerouted,
			bool: func(env *Env) bool { return env.E.Flow.OtherMAC }},
		{Name: "vlan", Doc: "outer VLAN number", Kind: Int, int: func(env *Env) (int64, bool) { return int64(env.E.Flow.VLANs[0]), env.E.Flow.NVLAN > 0 }},
		{Name: "connection", Doc: "number of the connection, unique in one run", Kind: Int,
			int: func(env *Env) (int64, bool) { return int64(env.E.Flow.Conn), env.E.Flow.Conn != 0 }},
		{Name: "gratuitous", Doc: "an ARP packet that asks for or tells of its sender's own address", Kind: Bool,
			bool: func(env *Env) bool {
				f := &env.E.Flow
				return env.E.What == rules.ARP && f.Client.Addr() == f.Server.Addr()
			}},
	}
}

func messageWords(protos []*protocols.Protocol) []*Word {
	names := make([]string, len(protos))
	for i, p := range protos {
		names[i] = p.Name
	}
	integer := func(name, doc string, get func(*protocols.Message) (int64, bool)) *Word {
		return &Word{Name: name, Doc: doc, Kind: Int, int: func(env *Env) (int64, bool) {
			if env.E.Msg == nil {
				return 0, false
			}
			return get(env.E.Msg)
		}}
	}
	enum := func(name, doc string, names []string, get func(*protocols.Message) (int64, bool)) *Word {
		w := integer(name, doc, get)
		w.Kind, w.Names = Text, names
		return w
	}
	turn := enum("turn", "how it relates to its request", turnNames, func(m *protocols.Message) (int64, bool) { return int64(m.Turn), true })
	turn.needAt = map[string]Need{turnNames[protocols.Unpaired]: Unpaired}
	return []*Word{
		enum("proto", "the protocol", names, func(m *protocols.Message) (int64, bool) {
			for i, p := range protos {
				if m.Proto != nil && (m.Proto == p || m.Proto.Name == p.Name) {
					return int64(i), true
				}
			}
			return 0, false
		}),
		enum("op", "what the message does", protocols.OpNames(), func(m *protocols.Message) (int64, bool) { return int64(m.Op), true }),
		{Name: "name", Doc: "the standard's own name of the function code or type", Kind: Text, text: func(env *Env) (string, bool) {
			if env.E.Msg == nil {
				return "", false
			}
			return env.E.Msg.Name, true
		}},
		integer("code", "function code or type id", func(m *protocols.Message) (int64, bool) { return int64(m.Code), m.HasCode }),
		enum("from", "who sent it", sideNames, func(m *protocols.Message) (int64, bool) { return int64(m.From), true }),
		integer("station", "unit id, outstation link address or common address", func(m *protocols.Message) (int64, bool) { return int64(m.Station), m.HasStation }),
		integer("master", "DNP3 link address of the master, 104 originator address", func(m *protocols.Message) (int64, bool) { return int64(m.Master), m.HasMaster }),
		turn,
		integer("content", "a number that stands for what the message carries; equal content has an equal number", func(m *protocols.Message) (int64, bool) {
			return int64(Hash(0).Bytes(m.Body) >> 1), len(m.Body) > 0
		}),
		{Name: "rtt_ms", Doc: "milliseconds from the request to this response", Kind: Float, num: func(env *Env) (float64, bool) {
			m := env.E.Msg
			if m == nil || m.RTT <= 0 {
				return 0, false
			}
			return float64(m.RTT) / 1e6, true
		}},
		{Name: "ok", Doc: "no exception, refusal or error indication", Kind: Bool, bool: func(env *Env) bool { return env.E.Msg != nil && env.E.Msg.Status == 0 }},
		{Name: "status", Doc: "\"ok\", or the exception, indications or negative cause in words", Kind: Text, text: func(env *Env) (string, bool) {
			if env.E.Msg == nil {
				return "", false
			}
			return env.statusText(env.E.Msg), true
		}},
		{Name: "fault", Doc: "something is wrong with the message", Kind: Bool, bool: func(env *Env) bool { return env.E.Msg != nil && env.E.Msg.Faults != 0 }},
		{Name: "faults", Doc: "what is wrong with the message: " + faultList(), Kind: Faults},
	}
}

func faultList() string {
	s := ""
	for i, name := range protocols.FaultNames() {
		if i > 0 {
			s += ", "
		}
		s += name
	}
	return s
}

// protocolWords turns p's field table into words. They are read through the message's own protocol, so that fixtures
// can stand in for a decoder.
func protocolWords(p *protocols.Protocol) []*Word {
	var words []*Word
	for i := range p.Field {
		f := &p.Field[i]
		w := &Word{Name: p.Name + "." + f.Name, Doc: f.Doc}
		of := func(env *Env) (*protocols.Field, *protocols.Message) {
			m := env.E.Msg
			switch {
			case m == nil || m.Detail == nil || env.E.What != rules.Message:
			case m.Proto == p:
				return f, m
			case m.Proto != nil && m.Proto.Name == p.Name && i < len(m.Proto.Field):
				return &m.Proto.Field[i], m
			}
			return nil, nil
		}
		switch {
		case f.Int != nil:
			w.Kind, w.int = Int, func(env *Env) (int64, bool) {
				if f, m := of(env); f != nil {
					return f.Int(m)
				}
				return 0, false
			}
		case f.Bool != nil:
			w.Kind, w.bool = Bool, func(env *Env) bool {
				if f, m := of(env); f != nil {
					v, ok := f.Bool(m)
					return v && ok
				}
				return false
			}
		case f.Text != nil:
			w.Kind, w.text = Text, func(env *Env) (string, bool) {
				if f, m := of(env); f != nil {
					return f.Text(m)
				}
				return "", false
			}
		default:
			continue
		}
		words = append(words, w)
	}
	return words
}
