package script

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ListsDir is the folder, beside the captures, of the point lists of the cast: what its engineers would hand over.
const ListsDir = "points"

// Lists are the point lists of everybody in the cast, by file name: two tools' CSV, and DNP3 device profiles.
func Lists() map[string]string {
	return map[string]string{
		"substation.csv": substationList(),
		"telecom.csv":    telecomList(),
		"rtu-4.xml":      deviceProfile("rtu-4", "bay E06"),
		"rtu-5.xml":      deviceProfile("rtu-5", "bay E07"),
	}
}

// writeLists writes them below dir.
func writeLists(dir string) error {
	dir = filepath.Join(dir, ListsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range Lists() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A listed104 is a row of the list of a 104 station.
type listed104 struct {
	ioa        uint32
	typ        string
	name       string
	unit       string
	indication uint32 // of a command: what follows it; 0 for none
}

// points104 are those that rtu104 has.
var points104 = []listed104{
	{breaker, "M_DP_TB_1", "breaker Q0", "", 0},
	{isolator, "M_DP_TB_1", "isolator Q1", "", 0},
	{protection, "M_SP_TB_1", "distance protection in service", "", 0},
	{1004, "M_SP_TB_1", "cabinet door", "", 0},
	{1010, "M_BO_TB_1", "relay alarm word", "", 0},
	{voltage, "M_ME_NC_1", "voltage L1-L2", "kV", 0},
	{2002, "M_ME_NC_1", "current L1", "A", 0},
	{2003, "M_ME_NC_1", "active power", "MW", 0},
	{setpoint, "M_ME_NC_1", "active power limit", "MW", 0},
	{2005, "M_ME_NB_1", "oil temperature T1", "°C", 0},
	{2006, "M_ME_NA_1", "excitation", "", 0},
	{3001, "M_IT_NA_1", "energy delivered", "kWh", 0},
	{3002, "M_IT_NA_1", "energy received", "kWh", 0},
	{4001, "M_ST_TB_1", "tap position T1", "", 0},
	{cmdBreaker, "C_DC_NA_1", "breaker Q0", "", breaker},
	{cmdIsolator, "C_DC_NA_1", "isolator Q1", "", isolator},
	{cmdProtection, "C_SC_NA_1", "distance protection in service", "", protection},
	{cmdTap, "C_RC_NA_1", "tap changer T1", "", 4001},
	{cmdSetpoint, "C_SE_NC_1", "active power limit", "MW", setpoint},
	{cmdNormal, "C_SE_NA_1", "excitation", "", 2006},
	{cmdScaled, "C_SE_NB_1", "cooling threshold T1", "°C", 2005},
	{cmdBits, "C_BO_NA_1", "relay alarm word", "", 1010},
}

// substationList is the list of the 104 stations, as a tool in a country with decimal commas writes it.
func substationList() string {
	var b strings.Builder
	b.WriteString("\ufeffIP address;Common address;IOA;TI;Signal;Bay;Unit;Scaling;Indication IOA\r\n")
	for _, s := range []struct {
		host, bay string
		ca        int
	}{{"rtu-1", "E03", 1}, {"rtu-2", "E04", 2}, {"rtu-3", "E05", 3}, {"site-rtu", "E10", 71}} {
		row := func(p listed104) {
			unit, scale, follows := p.unit, "", ""
			if unit != "" {
				scale = "1,0"
			}
			if p.indication > 0 {
				follows = fmt.Sprint(p.indication)
			}
			fmt.Fprintf(&b, "%s;%d;%d;%s;%s;%s;%s;%s;%s\r\n", addr(s.host), s.ca, p.ioa, p.typ, p.name, s.bay, unit, scale, follows)
		}
		for _, p := range points104 {
			row(p)
		}
		for i := uint32(1); i <= 16 && s.host == "rtu-3"; i++ {
			row(listed104{feeders + i, "M_SP_TB_1", fmt.Sprintf("feeder %d breaker", i), "", 0})
			row(listed104{cmdFeeders + i, "C_SC_NA_1", fmt.Sprintf("feeder %d breaker", i), "", feeders + i})
		}
	}
	return b.String()
}

// registers are the named registers of the telecom site: hosts, table, address, and what a list says of it.
var registers = []struct {
	hosts, table string
	address      int
	typ, name    string
	unit, scale  string
	access       string
}{
	{"rect-1 rect-2", "input register", 0, "uint16", "output voltage", "V", "0.01", ""},
	{"rect-1 rect-2", "input register", 1, "uint16", "output current", "A", "0.1", ""},
	{"rect-1 rect-2", "input register", 2, "int16", "heat sink temperature", "°C", "0.1", ""},
	{"rect-1 rect-2", "holding register", floatVoltage, "uint16", "float voltage", "V", "0.01", "rw"},
	{"rect-1 rect-2", "holding register", currentLimit, "uint16", "current limit", "A", "0.1", "rw"},
	{"genset", "input register", 0, "uint16", "starter battery", "V", "0.1", ""},
	{"genset", "input register", 1, "uint16", "hours run", "h", "1", ""},
	{"genset", "input register", 2, "int16", "engine temperature", "°C", "0.1", ""},
	{"genset", "coil", runGenset, "", "run genset", "", "", "rw"},
	{"genset", "coil", breakerLoad, "", "load disconnect", "", "", "rw"},
	{"genset", "discrete input", 1, "", "genset runs", "", "", ""},
	{"cooling", "input register", 0, "int16", "room temperature", "°C", "0.1", ""},
	{"cooling", "input register", 1, "uint16", "compressor load", "%", "1", ""},
	{"cooling", "holding register", coolingGoal, "int16", "room temperature goal", "°C", "0.1", "rw"},
	{"battery", "input register", 0, "uint16", "cell voltage", "V", "0.001", ""},
	{"battery", "input register", 1, "int16", "cell temperature", "°C", "0.1", ""},
}

// parts are what the telecom site's devices are called.
var parts = map[string]string{"rect-1": "rectifier 1", "rect-2": "rectifier 2", "genset": "generator", "cooling": "cooling", "battery": "battery string"}

// telecomList is the register map of the telecom site, with commas.
func telecomList() string {
	var b strings.Builder
	b.WriteString("asset,unit id,table,address,type,name,part,unit,scale,access\n")
	for _, r := range registers {
		for _, host := range strings.Fields(r.hosts) {
			units := 1
			if host == "battery" {
				units = 3
			}
			for unit := 1; unit <= units; unit++ {
				fmt.Fprintf(&b, "%s,%d,%s,%d,%s,%s,%s,%s,%s,%s\n", addr(host), unit, r.table, r.address, r.typ, r.name, parts[host], r.unit, r.scale, r.access)
			}
		}
	}
	return b.String()
}

// profilePoints are those of an outstation, by the list of a device profile that they belong to.
var profilePoints = []struct {
	list, element string
	names         []string
	more          func(i int) string
}{
	{"binaryInputPoints", "binaryInput", []string{"relay 1", "relay 2", "relay 3", "relay 4", "cabinet door", "battery low", "remote control", "spare input"}, func(i int) string {
		return "<changeEventClass>" + []string{"one", "one", "one", "one", "none", "none", "none", "none"}[i] + "</changeEventClass>"
	}},
	{"doubleBitInputPoints", "doubleBitInput", []string{"breaker Q0", "isolator Q1"}, func(int) string { return "<changeEventClass>one</changeEventClass>" }},
	{"binaryOutputPoints", "binaryOutput", []string{"relay 1", "relay 2", "relay 3", "relay 4"}, func(int) string {
		return "<supportedControlOperations><supportSelectOperate/><supportDirectOperate/><supportTrip/><supportClose/></supportedControlOperations>"
	}},
	{"counterPoints", "counter", []string{"energy delivered", "breaker operations"}, func(i int) string {
		return "<counterEventClass>" + []string{"three", "none"}[i] + "</counterEventClass><frozenCounterExists>true</frozenCounterExists>"
	}},
	{"analogInputPoints", "analogInput", []string{"voltage", "current", "active power", "frequency", "set-point in force"}, func(i int) string {
		unit := []string{"kV", "A", "MW", "Hz", ""}[i]
		class := "<changeEventClass>" + []string{"two", "two", "two", "none", "none"}[i] + "</changeEventClass>"
		if unit == "" {
			return class
		}
		return class + "<scaleFactor>1</scaleFactor><units>" + unit + "</units>"
	}},
	{"analogOutputPoints", "analogOutput", []string{"set-point", "ramp"}, func(int) string {
		return "<supportedControlOperations><supportSelectOperate/><supportDirectOperate/></supportedControlOperations>"
	}},
}

// deviceProfile is the device profile of an outstation, with no more in it than its points: IEEE Std 1815-2012 14.8.
func deviceProfile(host, bay string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s<DNP3DeviceProfileDocument xmlns="http://www.dnp3.org/DNP3/DeviceProfile/April2016" schemaVersion="2.11.00">
 <documentHeader><documentName>%s</documentName><documentDescription>outstation of %s</documentDescription></documentHeader>
 <referenceDevice>
  <dataPointsList>
`, xml.Header, host, bay)
	for _, l := range profilePoints {
		fmt.Fprintf(&b, "   <%s>\n    <dataPoints>\n", l.list)
		for i, name := range l.names {
			fmt.Fprintf(&b, "     <%s><index>%d</index><name>%s, %s</name>%s</%[1]s>\n", l.element, i, name, bay, l.more(i))
		}
		fmt.Fprintf(&b, "    </dataPoints>\n   </%s>\n", l.list)
	}
	b.WriteString("  </dataPointsList>\n </referenceDevice>\n</DNP3DeviceProfileDocument>\n")
	return b.String()
}
