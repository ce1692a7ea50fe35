package lang

import "slices"

// A Technique is one row of MITRE ATT&CK for ICS.
type Technique struct {
	ID   string // v19
	Name string
	Was  string // the id of v18, where v19 revoked it
}

// Techniques returns the techniques of ATT&CK for ICS v19 that a rule may name, sorted by id.
func Techniques() []Technique { return techniques }

// TechniqueByID looks an id of v19 up.
func TechniqueByID(id string) (Technique, bool) {
	i := slices.IndexFunc(techniques, func(t Technique) bool { return t.ID == id })
	if i < 0 {
		return Technique{}, false
	}
	return techniques[i], true
}

// techniqueHint says what to write instead of an id that v19 does not have.
func techniqueHint(id string) string {
	ids := make([]string, len(techniques))
	for i, t := range techniques {
		if t.Was == id {
			return "v19 calls it " + t.ID
		}
		ids[i] = t.ID
	}
	return didYouMean(id, ids)
}

var techniques = []Technique{
	{"T0800", "Activate Firmware Update Mode", ""},
	{"T0801", "Monitor Process State", ""},
	{"T0802", "Automated Collection", ""},
	{"T0806", "Brute Force I/O", ""},
	{"T0809", "Data Destruction", ""},
	{"T0811", "Data from Information Repositories", ""},
	{"T0813", "Denial of Control", ""},
	{"T0814", "Denial of Service", ""},
	{"T0815", "Denial of View", ""},
	{"T0816", "Device Restart/Shutdown", ""},
	{"T0819", "Exploit Public-Facing Application", ""},
	{"T0821", "Modify Controller Tasking", ""},
	{"T0822", "External Remote Services", ""},
	{"T0826", "Loss of Availability", ""},
	{"T0827", "Loss of Control", ""},
	{"T0829", "Loss of View", ""},
	{"T0830", "Adversary-in-the-Middle", ""},
	{"T0831", "Manipulation of Control", ""},
	{"T0832", "Manipulation of View", ""},
	{"T0835", "Manipulate I/O Image", ""},
	{"T0836", "Modify Parameter", ""},
	{"T0837", "Loss of Protection", ""},
	{"T0838", "Modify Alarm Settings", ""},
	{"T0840", "Network Connection Enumeration", ""},
	{"T0842", "Network Sniffing", ""},
	{"T0843", "Program Download", ""},
	{"T0845", "Program Upload", ""},
	{"T0846", "Remote System Discovery", ""},
	{"T0848", "Rogue Master", ""},
	{"T0849", "Masquerading", ""},
	{"T0858", "Change Operating Mode", ""},
	{"T0859", "Valid Accounts", ""},
	{"T0861", "Point & Tag Identification", ""},
	{"T0864", "Transient Cyber Asset", ""},
	{"T0866", "Exploitation of Remote Services", ""},
	{"T0867", "Lateral Tool Transfer", ""},
	{"T0868", "Detect Operating Mode", ""},
	{"T0869", "Standard Application Layer Protocol", ""},
	{"T0871", "Execution through API", ""},
	{"T0877", "I/O Image", ""},
	{"T0878", "Alarm Suppression", ""},
	{"T0880", "Loss of Safety", ""},
	{"T0881", "Service Stop", ""},
	{"T0882", "Theft of Operational Information", ""},
	{"T0883", "Internet Accessible Device", ""},
	{"T0884", "Connection Proxy", ""},
	{"T0885", "Commonly Used Port", ""},
	{"T0886", "Remote Services", ""},
	{"T0888", "Remote System Information Discovery", ""},
	{"T0889", "Modify Program", ""},
	{"T0892", "Change Credential", ""},
	{"T0893", "Data from Local System", ""},
	{"T1691.001", "Block Operational Technology Message: Command Message", "T0803"},
	{"T1691.002", "Block Operational Technology Message: Reporting Message", "T0804"},
	{"T1692.001", "Unauthorized Message: Command Message", "T0855"},
	{"T1692.002", "Unauthorized Message: Reporting Message", "T0856"},
	{"T1693.001", "Modify Firmware: System Firmware", "T0857"},
	{"T1693.002", "Modify Firmware: Module Firmware", "T0839"},
	{"T1694.001", "Insecure Credentials: Default Credentials", "T0812"},
	{"T1694.002", "Insecure Credentials: Hardcoded Credentials", "T0891"},
	{"T1695.001", "Block Communications: Serial COM", "T0805"},
}
