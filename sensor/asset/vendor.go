package asset

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/roje-ot/roje/rules"
)

// makers is a table of those who make what control networks are built of, with the blocks of link-layer addresses (OUI)
// that the IEEE has assigned to them. It is not complete, and a vendor that is not here is unknown.
var makers = []struct{ name, ouis string }{
	{"ABB", "000023 00022c 00032c 000c02 000c62 000cde 001293 001386 001b45 001c01 0021c1 002459 00904f 4cbcb4 5031ad 54f876 60391f 78ab60 803b2a 807a7f 9803a0 acd364 b89be4 e002a5"},
	{"Advantech", "000bab 000e02 001453 00d0c9 74fe48 c400ad cc827f"},
	{"Alstom Grid", "00169b"},
	{"Arbiter", "6473e2"},
	{"Bachmann", "00107e"},
	{"Beckhoff", "000105"},
	{"Bosch Rexroth", "000b0f"},
	{"Delta Electronics", "00066e 001823 20f85e"},
	{"Digi", "00409d 60c727"},
	{"Eaton", "00054b 000cc1 001345 001864 002085 0022d5 008099 00d0af"},
	{"Emerson", "0003ad 0009f5 004003 00e086"},
	{"Eurotherm", "000488 000a8d 080048"},
	{"GE", "000991 001481 00d632 080019 2ceada 90837a c4b512 d828c9 d89341"},
	{"HMS", "000327 000594 003011 003056 9cb206 cc3f1d"},
	{"Hirschmann", "008063 646038 740bb0 a0b086 ec74ba ece555"},
	{"Hitachi Energy", "0002a3 000d97 30b216"},
	{"Honeywell", "00226a 0030af 004084 0080a7 0c2369 c4efda"},
	{"Ingeteam", "000da9 0016a3"},
	{"Lantronix", "000d2c 000f2c 00204a 0080a3"},
	{"Meinberg", "ec4670"},
	{"Mitsubishi Electric", "002692 104b46 28e98e 30be3b 38e08e 58528a 94a4b5"},
	{"Moxa", "0090e8"},
	{"NARI", "1c0042"},
	{"NovaTech", "00909d"},
	{"Omron", "00000a 3cf7d1"},
	{"Opto 22", "00a03d"},
	{"Pepperl+Fuchs", "000d81"},
	{"Phoenix Contact", "00a045 a8741d ccccea"},
	{"Red Lion", "0005e4 0007af 001347 0060da 00a01d"},
	{"Rockwell Automation", "0000bc 001d9c 086195 184c08 34c0f9 404101 5c2167 5c8816 68c8eb bcf499 e48ebb e49069 f45433"},
	{"RuggedCom", "000adc 0013d5 94b8c5"},
	{"Schneider Electric", "000054 000123 000417 000c81 001100 001324 006078 0080f4 20443a 282986 74f661 942e17 9c0e51 e4f58e"},
	{"Schweitzer Engineering Laboratories", "0030a7"},
	{"Siemens", "0001e3 000ba3 000d41 000e8c 001133 001928 001b1b 001ff8 00a003 10dffc 208756 20a8b9 240462 24edfd 286336 301389 302f1e 30b851 384b24 40ecf8 500084 683e02 789f87 883f99 884b39 ac6417 b4b15a d4f527 dc0575 ec1c5d"},
	{"Sprecher Automation", "000fa4"},
	{"WAGO", "0030de"},
	{"Westermo", "00077c 0011b4 00145a"},
	{"Yokogawa", "000064 006041 d00aab"},
}

var byOUI = func() map[[3]byte]string {
	all := map[[3]byte]string{}
	for _, m := range makers {
		for text := range strings.FieldsSeq(m.ouis) {
			b, err := hex.DecodeString(text)
			if err != nil || len(b) != 3 {
				panic(fmt.Sprintf("%s: %q is not an OUI", m.name, text))
			}
			all[[3]byte(b)] = m.name
		}
	}
	return all
}()

// VendorOf names the maker that a link-layer address belongs to; "" where it is not known or the address is one that
// somebody picked himself.
func VendorOf(mac rules.MAC) string {
	if mac[0]&2 != 0 {
		return ""
	}
	return byOUI[[3]byte(mac[:3])]
}
