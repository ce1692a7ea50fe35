package main

import "time"

// A subject is one labelled capture and how it is judged. Only what is learned first differs between data sets, since
// that is what there is to learn from; thresholds never do.
type subject struct {
	set, name, path string
	learn           string        // another capture that is learned first; "" is none
	state           string        // or a folder in which something was learned before
	until           time.Duration // how much of its own beginning is learned first, and not judged
	off             bool          // without a baseline
	hosts           []string
	technique       string
	most            time.Duration // to the first alert; 0: no goal says
	tuned           string        // why thresholds or rules may fit it; "" where they were not looked at with it
}

const (
	brno      = "derived/brno_iec104/"
	lemay     = "antoine-lemay__Modbus_dataset/"
	heinrihs  = "derived/heinrihs_iec104_fixed/"
	qut       = "derived/qut_dnp3_nogoose/"
	wattson   = "fkie-cad__ipal_datasets/EnergyDataset/raw/"
	brnoLearn = 8 * time.Hour // G2

	// brnoSilence is three of the longest pauses of the station before the loss, and 5 s: its clock-like measurements are
	// 31 s apart.
	brnoSilence = 3*31*time.Second + 5*time.Second
	inTest      = "a test of the repository uses it"
)

var (
	brnoHosts     = []string{"192.168.11.111", "192.168.11.248", "192.168.11.102"}
	heinrihsHosts = []string{"10.0.1.100", "10.0.1.200"}
	qutAttacker   = []string{"192.168.10.66"}
)

// subjects are the captures of the corpus that are judged.
var subjects = []subject{
	{set: "Brno", name: "command injection", path: brno + "injection-command.pcap", until: brnoLearn, hosts: brnoHosts, technique: "T1692.001", most: time.Minute, tuned: inTest},
	{set: "Brno", name: "horizontal scan", path: brno + "scanning-horizontal.pcap", until: brnoLearn, hosts: brnoHosts, technique: "T0846", most: time.Minute, tuned: inTest},
	{set: "Brno", name: "slow denial of service", path: brno + "dos-attack.pcap", until: brnoLearn, hosts: brnoHosts, technique: "T1692.002", most: 15 * time.Minute, tuned: "rule B04 was made slower with it"},
	{set: "Brno", name: "connection loss", path: brno + "connection-loss-10min.pcap", until: brnoLearn, hosts: brnoHosts, technique: "T0815", most: brnoSilence,
		tuned: "the time of a silence was corrected with it"},
	{set: "Brno normal", name: "14-12", path: brno + "normal-14-12.pcap", until: brnoLearn, tuned: inTest},
	{set: "Brno normal", name: "17-12", path: brno + "normal-17-12.pcap", until: brnoLearn, tuned: inTest},
	{set: "Brno normal", name: "17-12 after 14-12", path: brno + "normal-17-12.pcap", learn: brno + "normal-14-12.pcap", tuned: inTest},

	{set: "Lemay", name: "characterisation", path: lemay + "characterization_modbus_6RTU_with_operate.pcap", learn: lemay + "CnC_uploading_exe_modbus_6RTU_with_operate.pcap",
		hosts: []string{"192.168.1.101", "192.168.1.104"}, most: time.Second, tuned: inTest},
	{set: "Lemay", name: "C&C upload", path: lemay + "CnC_uploading_exe_modbus_6RTU_with_operate.pcap", learn: lemay + "characterization_modbus_6RTU_with_operate.pcap",
		hosts: []string{"192.168.1.101", "192.168.1.105", "192.168.1.100", "192.168.1.104"}, most: time.Second, tuned: "rule A10-file-sharing was written with it"},

	{set: "heinrihs", name: "stage 1", path: heinrihs + "stage_1_T0888_fixed.pcap", hosts: heinrihsHosts, technique: "T0888", tuned: "the order of techniques was set with it"},
	{set: "heinrihs", name: "stage 3", path: heinrihs + "stage_3_T0802_fixed.pcap", hosts: heinrihsHosts, technique: "T0802", tuned: inTest},
	{set: "heinrihs", name: "stage 5", path: heinrihs + "stage_5_T0806_fixed.pcap", hosts: heinrihsHosts, technique: "T0806", tuned: inTest},
	{set: "heinrihs", name: "stage 7", path: heinrihs + "stage_7_T0855_fixed.pcap", hosts: heinrihsHosts, technique: "T1692.001", tuned: inTest},

	{set: "QUT", name: "MITM", path: qut + "MITM_training_frequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker, tuned: inTest},
	{set: "QUT", name: "attacks", path: qut + "attacks_training_frequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker},
	{set: "QUT", name: "flooding", path: qut + "flooding_training_infrequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker},
	{set: "QUT", name: "injection", path: qut + "injection_training_frequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker},
	{set: "QUT", name: "masquerading", path: qut + "masquerading_training_infrequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker, tuned: inTest},
	{set: "QUT", name: "replay", path: qut + "replay_training_frequent.pcap", learn: qut + "control_training_frequent.pcap", hosts: qutAttacker},
	{set: "QUT normal", name: "control", path: qut + "control_training_frequent.pcap", tuned: inTest},

	{set: "kb221svs", name: "four requests", path: "kb221svs__modbus-anomaly-detection/live_attacks_captured.pcap", hosts: []string{"192.41.15.2", "192.41.15.1"}},

	{set: "malformed", name: "Zeek fuzz-72", path: "zeek__zeek/testing/btest/Traces/modbus/fuzz-72.pcap", off: true},
	{set: "malformed", name: "DNP3 fuzzer", path: "ITI__ICS-Security-Tools/pcaps/openics/DNP3-Malformed.pcap", off: true},
	{set: "malformed", name: "DNP3 flood", path: "OISF__suricata-verify/tests/dnp3/dnp3-flood/input.pcap", off: true, tuned: "rule B03-dnp3-requests-pile-up was written with it"},

	{set: "normal, no baseline", name: "Brno 14-12", path: brno + "normal-14-12.pcap", off: true, tuned: inTest},
	{set: "normal, no baseline", name: "Brno 17-12", path: brno + "normal-17-12.pcap", off: true, tuned: inTest},
	{set: "normal, no baseline", name: "QUT control", path: qut + "control_training_frequent.pcap", off: true, tuned: inTest},
	{set: "normal, no baseline", name: "Wattson orig", path: wattson + "orig.pcap", off: true, tuned: inTest},
	{set: "normal, no baseline", name: "Wattson test", path: wattson + "test.pcap", off: true},
	{set: "normal, no baseline", name: "Wattson train", path: wattson + "train.pcap", off: true},
}

// left are labelled captures that are not judged, by the beginning of their path, and why.
var left = []struct{ prefix, why string }{
	{"qut-infosec__2017QUT_S7comm/", "S7comm is not decoded"},
	{"ITI__ICS-Security-Tools/pcaps/openics/EIP-", "EtherNet/IP is not decoded"},
	{"haolipeng__icsnpp-iec61850-goose/", "GOOSE is not decoded"},
	{wattson + "C-", "a stream reassembler sees clones as retransmissions (README of the corpus, point 4)"},
	{wattson + "R-", "a stream reassembler sees removals as capture loss (README of the corpus, point 4)"},
	{wattson + "S-", "a stream reassembler sees swaps as reordering (README of the corpus, point 4)"},
	{"heinrihs-s__IEC-60870-5-104-Threat-Scenario-Generator/", "its TCP sequence numbers stand still; the repaired capture is judged"},
	{lemay + "channel_", "a covert channel, G6: no clean run of the same hosts to learn from"},
}
