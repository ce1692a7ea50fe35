// Package attack names the techniques of MITRE ATT&CK for ICS, v19: the one table that rules, documentation and what
// is shared with a CERT take their ids and names from.
package attack

import "slices"

// A Technique is one row of ATT&CK for ICS.
type Technique struct {
	ID   string // v19
	Name string // a sub-technique carries its parent's name, as MITRE cites it
	Was  string // the id of v18, where v19 revoked it
}

// All returns the techniques, sorted by id.
func All() []Technique { return techniques }

// ByID looks an id of v19 up.
func ByID(id string) (Technique, bool) {
	i, found := slices.BinarySearchFunc(techniques, id, func(t Technique, id string) int {
		switch {
		case t.ID < id:
			return -1
		case t.ID > id:
			return 1
		}
		return 0
	})
	if !found {
		return Technique{}, false
	}
	return techniques[i], true
}

// Name returns the name of a technique, or the id itself if v19 does not have it.
func Name(id string) string {
	if t, ok := ByID(id); ok {
		return t.Name
	}
	return id
}

var techniques = []Technique{
	{"T0800", "Activate Firmware Update Mode", ""},
	{"T0801", "Monitor Process State", ""},
	{"T0802", "Automated Collection", ""},
	{"T0806", "Brute Force I/O", ""},
	{"T0807", "Command-Line Interface", ""},
	{"T0809", "Data Destruction", ""},
	{"T0811", "Data from Information Repositories", ""},
	{"T0813", "Denial of Control", ""},
	{"T0814", "Denial of Service", ""},
	{"T0815", "Denial of View", ""},
	{"T0816", "Device Restart/Shutdown", ""},
	{"T0817", "Drive-by Compromise", ""},
	{"T0819", "Exploit Public-Facing Application", ""},
	{"T0820", "Exploitation for Evasion", ""},
	{"T0821", "Modify Controller Tasking", ""},
	{"T0822", "External Remote Services", ""},
	{"T0823", "Graphical User Interface", ""},
	{"T0826", "Loss of Availability", ""},
	{"T0827", "Loss of Control", ""},
	{"T0828", "Loss of Productivity and Revenue", ""},
	{"T0829", "Loss of View", ""},
	{"T0830", "Adversary-in-the-Middle", ""},
	{"T0831", "Manipulation of Control", ""},
	{"T0832", "Manipulation of View", ""},
	{"T0834", "Native API", ""},
	{"T0835", "Manipulate I/O Image", ""},
	{"T0836", "Modify Parameter", ""},
	{"T0837", "Loss of Protection", ""},
	{"T0838", "Modify Alarm Settings", ""},
	{"T0840", "Network Connection Enumeration", ""},
	{"T0842", "Network Sniffing", ""},
	{"T0843", "Program Download", ""},
	{"T0843.001", "Program Download: Download All", ""},
	{"T0843.002", "Program Download: Online Edit", ""},
	{"T0843.003", "Program Download: Program Append", ""},
	{"T0845", "Program Upload", ""},
	{"T0846", "Remote System Discovery", ""},
	{"T0846.001", "Remote System Discovery: Port Scan", ""},
	{"T0846.002", "Remote System Discovery: Broadcast Discovery", ""},
	{"T0846.003", "Remote System Discovery: Multicast Discovery", ""},
	{"T0847", "Replication Through Removable Media", ""},
	{"T0848", "Rogue Master", ""},
	{"T0849", "Masquerading", ""},
	{"T0851", "Rootkit", ""},
	{"T0852", "Screen Capture", ""},
	{"T0853", "Scripting", ""},
	{"T0858", "Change Operating Mode", ""},
	{"T0859", "Valid Accounts", ""},
	{"T0860", "Wireless Compromise", ""},
	{"T0861", "Point & Tag Identification", ""},
	{"T0862", "Supply Chain Compromise", ""},
	{"T0863", "User Execution", ""},
	{"T0864", "Transient Cyber Asset", ""},
	{"T0865", "Spearphishing Attachment", ""},
	{"T0866", "Exploitation of Remote Services", ""},
	{"T0867", "Lateral Tool Transfer", ""},
	{"T0868", "Detect Operating Mode", ""},
	{"T0869", "Standard Application Layer Protocol", ""},
	{"T0871", "Execution through API", ""},
	{"T0872", "Indicator Removal on Host", ""},
	{"T0873", "Project File Infection", ""},
	{"T0874", "Hooking", ""},
	{"T0877", "I/O Image", ""},
	{"T0878", "Alarm Suppression", ""},
	{"T0879", "Damage to Property", ""},
	{"T0880", "Loss of Safety", ""},
	{"T0881", "Service Stop", ""},
	{"T0882", "Theft of Operational Information", ""},
	{"T0883", "Internet Accessible Device", ""},
	{"T0884", "Connection Proxy", ""},
	{"T0885", "Commonly Used Port", ""},
	{"T0886", "Remote Services", ""},
	{"T0887", "Wireless Sniffing", ""},
	{"T0888", "Remote System Information Discovery", ""},
	{"T0889", "Modify Program", ""},
	{"T0890", "Exploitation for Privilege Escalation", ""},
	{"T0892", "Change Credential", ""},
	{"T0893", "Data from Local System", ""},
	{"T0894", "System Binary Proxy Execution", ""},
	{"T0895", "Autorun Image", ""},
	{"T1691", "Block Operational Technology Message", ""},
	{"T1691.001", "Block Operational Technology Message: Command Message", "T0803"},
	{"T1691.002", "Block Operational Technology Message: Reporting Message", "T0804"},
	{"T1692", "Unauthorized Message", ""},
	{"T1692.001", "Unauthorized Message: Command Message", "T0855"},
	{"T1692.002", "Unauthorized Message: Reporting Message", "T0856"},
	{"T1693", "Modify Firmware", ""},
	{"T1693.001", "Modify Firmware: System Firmware", "T0857"},
	{"T1693.002", "Modify Firmware: Module Firmware", "T0839"},
	{"T1694", "Insecure Credentials", ""},
	{"T1694.001", "Insecure Credentials: Default Credentials", "T0812"},
	{"T1694.002", "Insecure Credentials: Hardcoded Credentials", "T0891"},
	{"T1695", "Block Communications", ""},
	{"T1695.001", "Block Communications: Serial COM", "T0805"},
	{"T1695.002", "Block Communications: Ethernet", ""},
	{"T1695.003", "Block Communications: Wi-Fi", ""},
}
