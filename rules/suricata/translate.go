package suricata

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
	"github.com/roje-ot/roje/rules/strict"
)

// An end is who sends a message.
type end uint8

const (
	either end = iota
	client
	server
)

// A translation is a Roje rule that is being made.
type translation struct {
	vars   map[string]string
	protos []*protocols.Protocol

	proto   string
	from    end
	against bool // two options say different senders
	codes   []string
	clauses []string
	event   map[string]string // words of the test on which it fires
	points  string            // of that test
	each    bool
	notes   []string

	msg, sid, rev, classtype string
	priority                 int
	techniques, references   []string
}

func (r *translation) clause(text string) { r.clauses = append(r.clauses, text) }
func (r *translation) note(text string)   { r.notes = append(r.notes, text) }
func (r *translation) set(word, value string) {
	r.event[word] = value
}

// numberClause asks for word to be of s.
func (r *translation) numberClause(word string, s span, most int64) {
	r.clause(s.where(word, most))
	if n, ok := s.pick(most); ok {
		r.set(word, strconv.FormatInt(n, 10))
	}
}

// code asks for the function code.
func (r *translation) code(s span) {
	if s.lo == s.hi && !s.not && r.codes == nil {
		r.codes = []string{strconv.FormatInt(s.lo, 10)}
		r.set("code", r.codes[0])
		return
	}
	r.numberClause("code", s, maxCode)
}

// sends notes who sends the message.
func (r *translation) sends(e end) {
	r.against = r.against || r.from != either && r.from != e
	r.from = e
}

// silent are options that say nothing of what is matched, or what Roje does anyway.
var silent = map[string]bool{"gid": true, "target": true}

// option takes over one option.
func (r *translation) option(o option) (err error) {
	switch o.name {
	case "msg":
		r.msg = unquote(o.value)
	case "sid", "rev":
		if _, err := strconv.ParseUint(o.value, 10, 63); err != nil {
			return leave("write a whole number", "%s %q", o.name, o.value)
		}
		if o.name == "sid" {
			r.sid = o.value
		} else {
			r.rev = o.value
		}
	case "classtype":
		r.classtype = o.value
	case "reference":
		r.references = append(r.references, o.value)
	case "priority":
		if r.priority, err = strconv.Atoi(o.value); err != nil || r.priority < 1 || r.priority > 255 {
			return leave("it is 1 to 255", "priority %q", o.value)
		}
	case "metadata":
		r.metadata(o.value)
	case "flow":
		return r.flow(o.value)
	case "app-layer-protocol":
		if o.value != "modbus" && o.value != "dnp3" {
			return leave("", "protocol %q", o.value)
		}
		if r.proto == "" {
			r.proto = o.value
		}
	case "modbus":
		return r.modbus(o.value)
	case "dnp3_func", "dnp3.func":
		return r.dnp3Func(o.value)
	case "dnp3_ind", "dnp3.ind":
		return r.dnp3Ind(o.value)
	case "dnp3_obj", "dnp3.obj":
		return r.dnp3Obj(o.value)
	case "dnp3_data", "dnp3.data":
		return leave("", "dnp3_data looks into the bytes of a message, which Roje's rules do not see")
	case "content", "pcre", "byte_test", "byte_jump", "byte_extract", "byte_math", "isdataat", "dsize", "bsize":
		return leave("", "%s looks into the bytes of a message, which Roje's rules do not see", o.name)
	default:
		if !silent[o.name] {
			return leave("", "Roje has nothing for the option %s", o.name)
		}
	}
	return nil
}

// keywords are the options that make a rule one for this package.
var keywords = map[string]bool{"modbus": true, "dnp3_func": true, "dnp3_ind": true, "dnp3_obj": true, "dnp3_data": true,
	"dnp3.func": true, "dnp3.ind": true, "dnp3.obj": true, "dnp3.data": true}

// metadata takes over the techniques that it names.
func (r *translation) metadata(value string) {
	for _, pair := range strings.Split(value, ",") {
		key, word, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if _, ok := attack.ByID(strings.TrimSpace(word)); ok && key == "mitre_technique_id" {
			r.techniques = append(r.techniques, strings.TrimSpace(word))
		}
	}
}

func (r *translation) flow(value string) error {
	for _, word := range strings.Split(value, ",") {
		switch word = strings.TrimSpace(word); word {
		case "to_server", "from_client":
			r.sends(client)
		case "to_client", "from_server":
			r.sends(server)
		case "established", "stateless":
		default:
			return leave("", "%v", strict.Unknown("flow", word, []string{"to_server", "from_client", "to_client", "from_server", "established", "stateless"}))
		}
	}
	return nil
}

// transports are the protocols of a rule's head.
var transports = map[string]string{"tcp": "tcp", "tcp-pkt": "tcp", "tcp-stream": "tcp", "udp": "udp", "ip": "", "ipv4": "", "ipv6": "", "any": "", "modbus": "", "dnp3": ""}

// head takes over who speaks to whom.
func (r *translation) head(s *statement) error {
	if s.action != "alert" {
		hint := "a sensor that cannot send can only say what it saw; write alert"
		if s.action == "pass" {
			hint = "write an exception of the site: roje-sensor rules check --site"
		}
		return leave(hint, "action %q", s.action)
	}
	transport, ok := transports[s.proto]
	if !ok {
		return leave("", "protocol %q", s.proto)
	}
	if transport != "" {
		r.clause("transport == " + strconv.Quote(transport))
		r.set("transport", transport)
	}
	if (s.proto == "modbus" || s.proto == "dnp3") && s.proto != r.proto {
		return leave("", "a rule of %s with a keyword of %s", s.proto, r.proto)
	}
	var hosts [2]side[netip.Prefix]
	var doors [2]side[span]
	for i, text := range [][2]string{{s.src, s.srcPort}, {s.dst, s.dstPort}} {
		address, err := r.resolve(text[0])
		if err == nil {
			hosts[i], err = list("addresses", address, network)
		}
		if err != nil {
			return err
		}
		port, err := r.resolve(text[1])
		if err == nil {
			doors[i], err = list("ports", port, ports)
		}
		if err != nil {
			return err
		}
	}
	side := func(name string, i int) string {
		return join(" and ", whereAddress(name, hosts[i]), wherePort(name+"_port", doors[i]))
	}
	forth := join(" and ", side("client", 0), side("server", 1)) // the client sends
	back := join(" and ", side("client", 1), side("server", 0))
	where, source := forth, 0
	switch {
	case s.both && forth != back:
		where = "(" + join(" or ", bracket(forth), bracket(back)) + ")"
	case r.from == server:
		where, source = back, 1
	case r.from == either && forth != back:
		where = `(from == "client" and ` + bracket(forth) + ` or from == "server" and ` + bracket(back) + ")"
		r.set("from", "client")
	}
	if where != "" {
		r.clause(where)
	}
	for i, name := range []string{"client", "server"} {
		of := source ^ i
		if hosts[of].any() && doors[of].any() {
			continue
		}
		address, err := pickAddress(hosts[of])
		if err != nil {
			return err
		}
		port, err := pickPort(doors[of], []int64{40000, map[string]int64{"modbus": 502, "dnp3": 20000}[r.proto]}[i])
		if err != nil {
			return err
		}
		r.set(name, netip.AddrPortFrom(address, uint16(port)).String())
	}
	return nil
}

func bracket(s string) string {
	if s == "" {
		return "code >= 0"
	}
	return "(" + s + ")"
}

// join joins the texts that are not empty.
func join(by string, texts ...string) string {
	var some []string
	for _, t := range texts {
		if t != "" {
			some = append(some, t)
		}
	}
	return strings.Join(some, by)
}

// severity is that of a priority; Suricata's greatest is 1.
func (r *translation) severity() rules.Severity {
	switch {
	case r.priority == 1:
		return rules.High
	case r.priority == 3:
		return rules.Low
	case r.priority > 3:
		return rules.Notice
	}
	return rules.Medium
}

// finish checks what only the whole rule tells.
func (r *translation) finish() error {
	switch {
	case r.sid == "":
		return leave("give it one: sid:1000001;", "a rule without sid")
	case r.msg == "":
		return leave("say what it is about: msg:\"...\";", "a rule without msg")
	case r.against:
		return leave("", "its options contradict each other about who sends the message")
	case len(r.codes) == 0 && len(r.clauses) == 0 && r.from == either:
		return leave("", "it is about every message")
	}
	return nil
}

// id names the rule by its sid and the first words of its message.
func (r *translation) id() string {
	id := "S" + r.sid
	for _, word := range strings.FieldsFunc(strings.ToLower(r.msg), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }) {
		if len(id)+1+len(word) > 48 {
			break
		}
		id += "-" + word
	}
	return id
}

// meaning says where the rule comes from.
func (r *translation) meaning(file string, line int) string {
	text := fmt.Sprintf("Taken over from the Suricata rule %s", r.sid)
	if r.rev != "" {
		text += ", revision " + r.rev
	}
	text += fmt.Sprintf(" (%s, line %d): %s.", file, line, strings.TrimSuffix(r.msg, "."))
	if r.classtype != "" {
		text += " Class: " + r.classtype + "."
	}
	if len(r.references) > 0 {
		text += " References: " + strings.Join(r.references, "; ") + "."
	}
	return text
}
