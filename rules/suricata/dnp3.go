package suricata

import (
	"strconv"
	"strings"

	"github.com/roje-ot/roje/rules/strict"
)

// functions are the names of DNP3's function codes, by code, as Suricata calls them.
var functions = map[string]int64{
	"confirm": 0, "read": 1, "write": 2, "select": 3, "operate": 4, "direct_operate": 5, "direct_operate_nr": 6, "immed_freeze": 7,
	"immed_freeze_nr": 8, "freeze_clear": 9, "freeze_clear_nr": 10, "freeze_at_time": 11, "freeze_at_time_nr": 12, "cold_restart": 13,
	"warm_restart": 14, "initialize_data": 15, "initialize_appl": 16, "start_appl": 17, "stop_appl": 18, "save_config": 19,
	"enable_unsolicited": 20, "disable_unsolicited": 21, "assign_class": 22, "delay_measure": 23, "record_current_time": 24, "open_file": 25,
	"close_file": 26, "delete_file": 27, "get_file_info": 28, "authenticate_file": 29, "abort_file": 30, "activate_config": 31,
	"authenticate_req": 32, "authenticate_err": 33, "response": 129, "unsolicited_response": 130, "authenticate_resp": 131,
}

const firstAnswer = 129 // of the function codes; those of requests are below

// indications are the flags of a response, by Suricata's names: the condition, and the words that make it true.
var indications = map[string]struct{ where, word, value string }{
	"all_stations":          {"dnp3.broadcast_received", "dnp3.broadcast_received", "true"},
	"class_1_events":        {"dnp3.class_1_events", "dnp3.class_1_events", "true"},
	"class_2_events":        {"dnp3.class_2_events", "dnp3.class_2_events", "true"},
	"class_3_events":        {"dnp3.class_3_events", "dnp3.class_3_events", "true"},
	"need_time":             {"dnp3.need_time", "dnp3.need_time", "true"},
	"local_control":         {"dnp3.local", "dnp3.local", "true"},
	"device_trouble":        {"dnp3.trouble", "dnp3.trouble", "true"},
	"device_restart":        {"dnp3.restart", "dnp3.restart", "true"},
	"no_func_code_support":  {"dnp3.no_func_code", "dnp3.no_func_code", "true"},
	"object_unknown":        {"dnp3.object_unknown", "dnp3.object_unknown", "true"},
	"parameter_error":       {"dnp3.parameter_error", "dnp3.parameter_error", "true"},
	"event_buffer_overflow": {"dnp3.event_overflow", "dnp3.event_overflow", "true"},
	"already_executing":     {"dnp3.already_executing", "dnp3.already_executing", "true"},
	"config_corrupt":        {"dnp3.config_corrupt", "dnp3.config_corrupt", "true"},
	"reserved_2":            {"(dnp3.iin2 in 64..127 or dnp3.iin2 >= 192)", "dnp3.iin2", "192"},
	"reserved_1":            {"dnp3.iin2 >= 128", "dnp3.iin2", "192"},
}

func names[V any](of map[string]V) (all []string) {
	for name := range of {
		all = append(all, name)
	}
	return all
}

// dnp3Func translates dnp3_func: a name, or a number or comparison.
func (r *translation) dnp3Func(value string) error {
	r.proto = "dnp3"
	word := strings.ToLower(value)
	not := strings.HasPrefix(word, "!")
	n, ok := functions[strings.TrimPrefix(word, "!")]
	s := span{n, n, not}
	if !ok {
		var err error
		if s, err = number("dnp3_func", value, maxCode); err != nil {
			if word != "" && word[0]|0x20 >= 'a' && word[0]|0x20 <= 'z' {
				return leave("", "%v", strict.Unknown("dnp3_func", value, names(functions)))
			}
			return err
		}
	}
	switch {
	case s.not:
	case s.hi < firstAnswer:
		r.sends(client)
	case s.lo >= firstAnswer:
		r.sends(server)
	}
	r.code(s)
	return nil
}

// dnp3Ind translates dnp3_ind: flags, any of which will do, or with + in front all of which.
func (r *translation) dnp3Ind(value string) error {
	r.proto = "dnp3"
	r.sends(server)
	joint := " or "
	switch {
	case strings.HasPrefix(value, "+"):
		joint, value = " and ", value[1:]
	case strings.HasPrefix(value, "*"):
		value = value[1:]
	case strings.HasPrefix(value, "-"), strings.HasPrefix(value, "="), strings.HasPrefix(value, "!"), strings.HasPrefix(value, "&"):
		return leave("list the flags of which one must be set, or with + in front all that must be", "dnp3_ind %q", value)
	}
	var all []string
	for i, flag := range strings.Split(value, ",") {
		flag = strings.ToLower(strings.TrimSpace(flag))
		is, ok := indications[flag]
		if !ok {
			return leave("", "%v", strict.Unknown("dnp3_ind", flag, names(indications)))
		}
		all = append(all, is.where)
		if i == 0 || joint == " and " {
			r.set(is.word, is.value)
		}
	}
	r.clause("(" + strings.Join(all, joint) + ")")
	if r.event["code"] == "" {
		r.set("code", strconv.Itoa(firstAnswer))
	}
	return nil
}

// dnp3Obj translates dnp3_obj: group and variation of an object header.
func (r *translation) dnp3Obj(value string) error {
	r.proto = "dnp3"
	group, variation, ok := strings.Cut(value, ",")
	if !ok {
		return leave("write: dnp3_obj:12,1", "dnp3_obj %q has no variation", value)
	}
	for word, text := range map[string]string{"dnp3.group": group, "dnp3.var": variation} {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 8)
		if err != nil {
			return leave("write whole numbers from 0 to 255: dnp3_obj:12,1", "dnp3_obj %q", value)
		}
		if r.event[word] != "" && r.event[word] != strconv.FormatUint(n, 10) {
			return leave("Roje looks at the first object header of a message", "two different dnp3_obj")
		}
		r.set(word, strconv.FormatUint(n, 10))
	}
	r.clause("dnp3.group == " + r.event["dnp3.group"])
	r.clause("dnp3.var == " + r.event["dnp3.var"])
	if r.event["code"] == "" {
		r.set("code", "1")
	}
	r.note("it looks at the first object header of a message; Suricata looks at all of them")
	return nil
}
