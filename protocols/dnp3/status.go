package dnp3

import "strconv"

// iinNames holds the internal indications of IEEE 1815 4.2.2.6 by bit: IIN1.0 to IIN1.7, then IIN2.0 to IIN2.7.
var iinNames = [16]string{
	"broadcast_received", "class_1_events", "class_2_events", "class_3_events", "need_time", "local_control", "device_trouble", "device_restart",
	"no_func_code_support", "object_unknown", "parameter_error", "event_buffer_overflow", "already_executing", "config_corrupt",
	"reserved_2", "reserved_1",
}

// Bits of the internal indications as one number: IIN1 in the low octet, IIN2 in the high one.
const (
	iinReserved = 0xc000
	iinRefusals = 0x3700 // NO_FUNC_CODE_SUPPORT, OBJECT_UNKNOWN, PARAMETER_ERROR, ALREADY_EXECUTING, CONFIG_CORRUPT
)

// A Message's Status has four octets, so that one number says every way in which an outstation refuses:
const (
	statusIIN     = 0  // refusing bits of IIN2
	statusControl = 8  // first control status that is not SUCCESS
	statusFile    = 16 // file status that is not SUCCESS
	statusAuth    = 24 // secure authentication error
)

// controlStatus holds the words of IEEE 1815 table 11-7; codes without a row are reserved.
var controlStatus = [128]string{
	0: "success", 1: "timeout", 2: "no_select", 3: "format_error", 4: "not_supported", 5: "already_active", 6: "hardware_error",
	7: "local", 8: "too_many_ops", 9: "not_authorized", 10: "automation_inhibit", 11: "processing_limited", 12: "out_of_range",
	13: "downstream_local", 14: "already_complete", 15: "blocked", 16: "canceled", 17: "blocked_other_master", 18: "downstream_fail",
	126: "non_participating", 127: "undefined",
}

const reservedWord = "reserved"

// fileStatus holds the words of IEEE 1815 table 11-9 (objects g70v4 and g70v6).
var fileStatus = map[uint8]string{
	0: "success", 1: "permission_denied", 2: "invalid_mode", 3: "file_not_found", 4: "file_locked", 5: "too_many_open",
	6: "invalid_handle", 7: "write_block_size", 8: "comm_lost", 9: "cannot_abort", 16: "not_opened", 17: "handle_expired",
	18: "buffer_overrun", 19: "fatal", 20: "block_sequence", 255: "undefined",
}

// authError holds the words of the error codes of g120v7, IEEE 1815 A.45.7.
var authError = map[uint8]string{
	1: "authentication_failed", 2: "unexpected_response", 3: "no_response", 4: "aggressive_mode_not_supported",
	5: "mac_algorithm_not_supported", 6: "key_wrap_algorithm_not_supported", 7: "authorization_failed",
	8: "update_key_change_method_not_permitted", 9: "invalid_signature", 10: "invalid_certification_data", 11: "unknown_user",
	12: "max_session_key_status_requests_exceeded",
}

// appendStatus appends the words of a Message's Status, joined by commas.
func appendStatus(dst []byte, status uint32) []byte {
	start := len(dst)
	word := func(prefix, w string, code uint8) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, prefix...), orReserved(w)...)
		if w == "" {
			dst = strconv.AppendUint(append(dst, '_'), uint64(code), 10)
		}
	}
	for i, name := range iinNames[8:] {
		if status>>statusIIN&(1<<i) != 0 {
			word("", name, 0)
		}
	}
	if c := uint8(status >> statusControl); c != 0 {
		word("control_", controlStatus[c&0x7f], c)
	}
	if c := uint8(status >> statusFile); c != 0 {
		word("file_", fileStatus[c], c)
	}
	if c := uint8(status >> statusAuth); c != 0 {
		word("auth_", authError[c], c)
	}
	return dst
}

func orReserved(w string) string {
	if w == "" {
		return reservedWord
	}
	return w
}

// refuse notes code in the octet of status at shift, unless an earlier object said another.
func refuse(status *uint32, shift uint, code uint32) {
	if *status>>shift&0xff == 0 {
		*status |= code & 0xff << shift
	}
}
