package dnp3

// attributes holds the rows of group 0, IEEE 1815 A.1: variations below 196 are for users to define.
var attributes = append([]object{{group: 0, name: "Device Attributes", kind: other}}, deviceAttributes()...)

func deviceAttributes() (rows []object) {
	for v := 1; v < 256; v++ {
		name := attributeNames[v]
		if name == "" {
			name = "user-specific attribute"
			if v >= firstAttribute {
				name = "reserved attribute"
			}
		}
		rows = append(rows, object{variation: uint8(v), name: name, kind: other, shape: shape(step{how: attribute})})
	}
	return rows
}

const firstAttribute = 196

var attributeNames = [256]string{
	196: "configuration ID", 197: "configuration version", 198: "configuration build date", 199: "configuration last change date",
	200: "configuration signature", 201: "configuration signature algorithm", 202: "master resource ID", 203: "device altitude",
	204: "device longitude", 205: "device latitude", 206: "user-assigned secondary operator name", 207: "user-assigned primary operator name",
	208: "user-assigned system name", 209: "secure authentication version", 210: "number of security statistics per association",
	211: "identification of support for user-specific attributes", 212: "number of master-defined data set prototypes",
	213: "number of outstation-defined data set prototypes", 214: "number of master-defined data sets",
	215: "number of outstation-defined data sets", 216: "maximum number of binary outputs per request", 217: "local timing accuracy",
	218: "duration of time accuracy", 219: "support for analog output events", 220: "maximum analog output index",
	221: "number of analog outputs", 222: "support for binary output events", 223: "maximum binary output index",
	224: "number of binary outputs", 225: "support for frozen counter events", 226: "support for frozen counters",
	227: "support for counter events", 228: "maximum counter index", 229: "number of counter points",
	230: "support for frozen analog inputs", 231: "support for analog input events", 232: "maximum analog input index",
	233: "number of analog input points", 234: "support for double-bit binary input events", 235: "maximum double-bit binary input index",
	236: "number of double-bit binary inputs", 237: "support for binary input events", 238: "maximum binary input index",
	239: "number of binary inputs", 240: "maximum transmit fragment size", 241: "maximum receive fragment size",
	242: "device manufacturer's software version", 243: "device manufacturer's hardware version", 244: "user-assigned owner name",
	245: "user-assigned location name", 246: "user-assigned ID code or number", 247: "user-assigned device name",
	248: "device serial number", 249: "DNP3 subset and conformance", 250: "device manufacturer's product name and model",
	252: "device manufacturer's name", 254: "all attributes", 255: "list of attribute variations",
}
