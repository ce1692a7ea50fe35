package rules

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// AppendJSON appends e, which is a Message, as the JSON object of the event contract, without a newline.
func (e *Event) AppendJSON(dst []byte) []byte {
	m := e.Msg
	dst = append(dst, `{"ts":`...)
	dst = protocols.AppendTime(dst, e.At)
	dst = append(dst, `,"frame":`...)
	dst = strconv.AppendUint(dst, e.Frame, 10)
	dst = append(dst, `,"proto":"`...)
	dst = append(dst, m.Proto.Name...)
	dst = append(dst, `","transport":"`...)
	dst = append(dst, e.Flow.Transport.String()...)
	dst = append(dst, `","client":"`...)
	dst = e.Flow.Client.AppendTo(dst)
	dst = append(dst, `","server":"`...)
	dst = e.Flow.Server.AppendTo(dst)
	if m.From == protocols.Client {
		dst = append(dst, `","from":"client"`...)
	} else {
		dst = append(dst, `","from":"server"`...)
	}
	if e.Flow.NVLAN > 0 {
		dst = append(dst, `,"vlan":[`...)
		for i := range e.Flow.NVLAN {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(e.Flow.VLANs[i]), 10)
		}
		dst = append(dst, ']')
	}
	dst = appendNumber(dst, "ttl", uint32(e.Flow.TTL), e.Flow.Rerouted())
	dst = appendNumber(dst, "station", m.Station, m.HasStation)
	dst = appendNumber(dst, "master", m.Master, m.HasMaster)
	dst = appendNumber(dst, "code", uint32(m.Code), m.HasCode)
	dst = append(dst, `,"name":`...)
	dst = protocols.AppendString(dst, m.Name)
	dst = append(dst, `,"op":"`...)
	dst = append(dst, m.Op.String()...)
	dst = append(dst, `","status":"`...)
	dst = append(m.AppendStatus(dst), '"')
	if m.Faults != 0 {
		dst = append(dst, `,"fault":"`...)
		dst = append(m.Faults.Append(dst), '"')
	}
	if m.Turn != protocols.Alone {
		dst = append(dst, `,"turn":"`...)
		dst = append(append(dst, m.Turn.String()...), '"')
	}
	if m.RTT > 0 {
		dst = append(dst, `,"rtt_ms":`...)
		dst = protocols.AppendNumber(dst, float64(m.RTT)/1e6)
	}
	if len(m.Points) > 0 {
		dst = append(dst, `,"points":[`...)
		for i := range m.Points {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.AppendPoint(dst, &m.Points[i])
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `,"`...)
	dst = append(dst, m.Proto.Name...)
	dst = append(dst, `":`...)
	dst = m.AppendJSON(dst)
	return append(dst, '}')
}

func appendNumber(dst []byte, name string, v uint32, has bool) []byte {
	if !has {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return strconv.AppendUint(dst, uint64(v), 10)
}
