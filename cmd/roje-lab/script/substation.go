package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// Object addresses of the 104 stations.
const (
	breaker    = 1001 // double point
	isolator   = 1002
	protection = 1003 // single point
	voltage    = 2001 // float
	setpoint   = 2004
	feeders    = 1200 // single points 1201-1216 of rtu-3

	cmdBreaker    = 5001 // double command, select before operate
	cmdIsolator   = 5002
	cmdProtection = 5003 // single command
	cmdTap        = 5004 // step command
	cmdSetpoint   = 5005 // float
	cmdNormal     = 5006
	cmdScaled     = 5007
	cmdBits       = 5008
	cmdFeeders    = 1100 // single commands 1101-1116 of rtu-3
	disturbance   = 7001 // file
)

// rtu104 is a controlled station with common address ca.
func (s *Stage) rtu104(host string, ca uint16) *iec104station.Outstation {
	u := uint64(ca)
	p, f := s.Pace, float64(ca)
	o := &iec104station.Outstation{
		CA: ca, Clock: s.host(host), Tally: s.Tally,
		Points: map[uint32]*iec104station.Point{
			breaker:    {Type: 3, Value: 2, Group: 1},
			isolator:   {Type: 3, Value: 2, Group: 1},
			protection: {Type: 1, Value: 1, Group: 2},
			1004:       {Type: 1, Group: 2},
			1010:       {Type: 7, Value: 0x0f},
			voltage:    {Type: 13, Value: 110, Group: 3, Every: 2 * p, Vary: wave(110+f, 1.5, time.Hour, u), Dead: 0.12},
			2002:       {Type: 13, Value: 200, Group: 3, Every: 2 * p, Vary: wave(200+10*f, 60, 6*time.Hour, u+1), Dead: 3},
			2003:       {Type: 13, Value: 35, Group: 3, Every: 3 * p, Vary: wave(35, 9, 8*time.Hour, u+2), Dead: 0.4},
			setpoint:   {Type: 13, Value: 20},
			2005:       {Type: 11, Value: 41, Group: 4, Every: 10 * p, Vary: wave(41, 6, 24*time.Hour, u+3), Dead: 1, Cyclic: true},
			2006:       {Type: 9, Value: 0.5, Group: 4},
			3001:       {Type: 15, Every: 30 * p, Vary: climb(1840, 100000), Dead: 1e12},
			3002:       {Type: 15, Every: 30 * p, Vary: climb(310, 5000), Dead: 1e12},
			4001:       {Type: 5, Value: 7},
		},
		Controls: map[uint32]*iec104station.Control{
			cmdBreaker:    {Type: 46, Point: breaker, Select: true, Travel: 180 * time.Millisecond},
			cmdIsolator:   {Type: 46, Point: isolator, Select: true, Travel: 4 * time.Second},
			cmdProtection: {Type: 45, Point: protection, Travel: 60 * time.Millisecond},
			cmdTap:        {Type: 47, Point: 4001, Travel: 3 * time.Second},
			cmdSetpoint:   {Type: 50, Point: setpoint, Travel: 50 * time.Millisecond},
			cmdNormal:     {Type: 48, Point: 2006, Travel: 50 * time.Millisecond},
			cmdScaled:     {Type: 49, Point: 2005, Travel: 50 * time.Millisecond},
			cmdBits:       {Type: 51, Point: 1010, Travel: 50 * time.Millisecond},
		},
		Files: map[uint32]*iec104station.File{
			disturbance: {Name: 1, Sections: [][]byte{comtrade(700), comtrade(330)}, Made: time.Date(2026, 3, 9, 4, 11, 7, 0, time.UTC)},
		},
	}
	for i := uint32(1); i <= 16; i++ {
		if host == "rtu-3" {
			o.Points[feeders+i] = &iec104station.Point{Type: 1, Value: 1}
			o.Controls[cmdFeeders+i] = &iec104station.Control{Type: 45, Point: feeders + i, Travel: 90 * time.Millisecond}
		}
	}
	s.serve(host, "tcp", ":2404", o.Serve)
	return o
}

// rtuDNP3 is an outstation with a link address, alone on its host.
func (s *Stage) rtuDNP3(host, network string, address uint16) *dnp3station.Outstation {
	o := s.outstation(host, address)
	s.serve(host, network, ":20000", o.Serve)
	return o
}

// outstation is an outstation that nobody serves yet.
func (s *Stage) outstation(host string, address uint16) *dnp3station.Outstation {
	u := uint64(address)
	p := s.Pace
	analog := func(base, swing, dead float64, period time.Duration, salt uint64) *dnp3station.Point {
		return &dnp3station.Point{Value: base, Class: 2, Every: 4 * p, Vary: wave(base, swing, period, u+salt), Dead: dead}
	}
	o := &dnp3station.Outstation{
		Address: address, Master: dnp3Master, Clock: s.host(host), Tally: s.Tally, Travel: 200 * time.Millisecond,
		Points: map[dnp3station.Kind][]*dnp3station.Point{
			dnp3station.Binary:       {{Value: 1, Class: 1}, {Value: 1, Class: 1}, {Class: 1}, {Class: 1}, {}, {}, {Value: 1}, {}},
			dnp3station.DoubleBit:    {{Value: 2, Class: 1}, {Value: 1, Class: 1}},
			dnp3station.BinaryOutput: {{Value: 1, Moves: 0, Class: 1}, {Value: 1, Moves: 1}, {Moves: 2}, {Moves: 3}},
			dnp3station.Counter: {
				{Class: 3, Every: 60 * p, Vary: climb(900, 20000), Dead: 500}, {Every: 60 * p, Vary: climb(120, 100), Dead: 1e12}},
			dnp3station.FrozenCounter: {{}, {}},
			dnp3station.Analog: {
				analog(20.4, 0.4, 0.3, time.Hour, 1), analog(148, 40, 12, 5*time.Hour, 2), analog(4.9, 1.4, 0.5, 7*time.Hour, 3),
				{Value: 50, Every: 8 * p, Vary: wave(50, 0.02, time.Minute, u), Dead: 1e12}, {Value: 12}},
			dnp3station.AnalogOutput: {{Value: 12, Moves: 4}, {Value: 100, Moves: -1}},
			dnp3station.Octets:       {{Text: "bay " + host}},
		},
		Files: map[string][]byte{"/log/events.txt": []byte(eventLog), "/cfg/points.csv": []byte(eventLog[:300])},
	}
	return o
}

const dnp3Master = 1

// comtrade is n bytes of a disturbance record.
func comtrade(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(128 + 90*((i/9)%2) - 45 + i%7)
	}
	return b
}

var eventLog = func() (text string) {
	for i := range 12 {
		text += time.Date(2026, 3, 9, 3, 7*i%60, 11*i%60, 0, time.UTC).Format(time.DateTime) + " feeder 4 overcurrent pickup\r\n"
	}
	return text
}()
