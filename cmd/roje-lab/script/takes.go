package script

import (
	"cmp"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// brisk is the pace of short captures: what takes a day of polls happens in minutes.
const brisk = 3 * time.Second

// joined is how long everybody has been at work when a short capture begins.
const joined = 31500 * time.Millisecond

// shift is ordinary work in a short capture: a tap, a breaker and a set-point, soon after it begins.
var shift = Plan{
	IEC104: map[string][]errand[*iec104station.Session]{"rtu-1": {do104(joined+6*time.Second, tapUp)}},
	DNP3:   map[string][]errand[*dnp3station.Session]{"rtu-4": {doDNP3(joined+8*time.Second, tripRelay, true), doDNP3(joined+14*time.Second, closeRelay, true)}},
	Modbus: map[string][]errand[*modbusstation.Master]{"cooling": {writeRegister(joined+10*time.Second, coolingGoal, 235)}},
}

// Takes is every capture that the lab makes.
func Takes() []Take {
	list := []Take{
		{File: "day-normal.pcapng.gz", About: "a normal day: polls, an operator's switching, a maintenance visit, connections that break and come back, the clock at midnight",
			Start: time.Date(2026, 3, 10, 0, 1, 0, 0, time.UTC), Lead: 10 * time.Minute, Length: 24 * time.Hour, Pace: 30 * time.Second, Play: Day(tuesday, clock(10, 30), "rtu-2")},
		{File: "day-normal-2.pcap.gz", About: "another normal day with other work",
			Start: time.Date(2026, 3, 11, 0, 1, 0, 0, time.UTC), Lead: 10 * time.Minute, Length: 24 * time.Hour, Pace: 30 * time.Second, Play: Day(wednesday, clock(11, 40), "rtu-3")},
	}
	list = append(list, Take{File: "weeks-normal.pcap.gz", About: "a genset's test runs over two weeks, by the site's controller, at work",
		Start: time.Date(2026, 2, 23, 0, 1, 0, 0, time.UTC), Length: 14 * 24 * time.Hour, Pace: 30 * time.Second, Play: testRuns})
	for i, a := range Acts {
		list = append(list, a.Take(time.Date(2026, 3, 12, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*13*time.Minute)))
	}
	list = append(list, takesGolden()...)
	return append(list, Take{File: "demo.pcap", About: "a minute of normal work, and then one act of attack after the other",
		Start: time.Date(2026, 3, 13, 15, 0, 0, 0, time.UTC), Lead: joined, Length: 6 * time.Minute, Pace: brisk, Play: Demo})
}

// Take is the capture of an act alone, amid ordinary work.
func (a Act) Take(start time.Time) Take {
	after, length := cmp.Or(a.After, 20*time.Second), cmp.Or(a.Length, time.Minute)
	file := "act-" + a.Name + ".pcap"
	if length > 10*time.Minute {
		file += ".gz"
	}
	return Take{File: file, About: a.Title, Start: start, Lead: joined, Length: length, Pace: cmp.Or(a.Pace, brisk),
		Play: func(s *Stage) {
			if a.Alone {
				s.stations.IEC104 = map[string]*iec104station.Outstation{a.Victims[0]: s.rtu104(a.Victims[0], common[a.Victims[0]])}
			} else {
				s.Normal(shift)
			}
			if a.Before != nil {
				s.after(a.Actor, joined+5*time.Second, func() { a.Before(s) })
			}
			s.after(a.Actor, joined+after, func() { s.Perform(a) })
		}}
}

// demo is the order of acts in the demonstration, least harm first.
var demo = []string{
	"port-sweep", "modbus-identify", "modbus-unit-scan", "iec104-station-sweep", "iec104-ca-sweep", "dnp3-address-sweep",
	"modbus-rogue-master", "modbus-function-scan", "iec104-rogue-master", "dnp3-rogue-master", "modbus-device-as-master", "arp-mitm",
	"modbus-frostygoop", "modbus-write-all", "modbus-engineering", "dnp3-operate-silently", "dnp3-disable-unsolicited", "dnp3-broadcast", "dnp3-file-transfer",
	"dnp3-clock-wrong", "iec104-parameters", "iec104-toggle", "iec104-industroyer2", "iec104-reset", "dnp3-stop-application", "dnp3-cold-restart",
	"modbus-malformed", "dnp3-malformed", "iec104-illegal", "modbus-diagnostics",
}

// Named finds an act.
func Named(name string) (Act, bool) {
	for _, a := range Acts {
		if a.Name == name {
			return a, true
		}
	}
	return Act{}, false
}

// Demo is a minute of normal work and then the acts of the demonstration.
func Demo(s *Stage) {
	s.Normal(shift)
	s.after("scada-a", joined+time.Minute, func() {
		for _, name := range demo {
			if a, ok := Named(name); ok {
				s.Perform(a)
				s.host("scada-a").Sleep(3 * time.Second)
			}
		}
	})
}
