package iec104

import (
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
)

// A row is what is known of one type id. Names, sizes, decoding, roles, legality and docs come from it.
type row struct {
	id    uint8
	name  string
	op    protocols.Op
	kind  protocols.Kind
	class *class
	form  form
	shape []*element // of one information object, behind its address
	sec   []secField // of a security ASDU, which has no information object

	size int // octets of the shape; of a segment, those before its data
	bare int // of them those before a time tag
}

// A form says which structures IEC 60870-5-101 clause 7.3 gives a type.
type form uint8

const (
	runs     form = 1 << iota // SQ = 1 is allowed: one address and a run of elements
	single                    // exactly one information object
	segment                   // the elements are followed by as many octets as LOS says
	bodyless                  // no information object: security
	only101                   // of 60870-5-101; 60870-5-104 clause 9 does not have it
)

// rowOf finds the row of a type id; nil for reserved and private ones.
var rowOf [256]*row

func shape(e ...*element) []*element { return e }

var rows = []row{
	{id: 1, name: "M_SP_NA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: runs, shape: shape(&siq)},
	{id: 2, name: "M_SP_TA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: only101, shape: shape(&siq, &cp24)},
	{id: 3, name: "M_DP_NA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: runs, shape: shape(&diq)},
	{id: 4, name: "M_DP_TA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: only101, shape: shape(&diq, &cp24)},
	{id: 5, name: "M_ST_NA_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: runs, shape: shape(&vti, &qds)},
	{id: 6, name: "M_ST_TA_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: only101, shape: shape(&vti, &qds, &cp24)},
	{id: 7, name: "M_BO_NA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: runs, shape: shape(&bsi, &qds)},
	{id: 8, name: "M_BO_TA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: only101, shape: shape(&bsi, &qds, &cp24)},
	{id: 9, name: "M_ME_NA_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: runs, shape: shape(&nva, &qds)},
	{id: 10, name: "M_ME_TA_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: only101, shape: shape(&nva, &qds, &cp24)},
	{id: 11, name: "M_ME_NB_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: runs, shape: shape(&sva, &qds)},
	{id: 12, name: "M_ME_TB_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: only101, shape: shape(&sva, &qds, &cp24)},
	{id: 13, name: "M_ME_NC_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: runs, shape: shape(&r32, &qds)},
	{id: 14, name: "M_ME_TC_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: only101, shape: shape(&r32, &qds, &cp24)},
	{id: 15, name: "M_IT_NA_1", op: protocols.Report, kind: protocols.Counter, class: totals, form: runs, shape: shape(&bcr)},
	{id: 16, name: "M_IT_TA_1", op: protocols.Report, kind: protocols.Counter, class: totals, form: only101, shape: shape(&bcr, &cp24)},
	{id: 17, name: "M_EP_TA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: only101, shape: shape(&sep, &cp16, &cp24)},
	{id: 18, name: "M_EP_TB_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: single | only101, shape: shape(&spe, &qdp, &cp16, &cp24)},
	{id: 19, name: "M_EP_TC_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: single | only101, shape: shape(&oci, &qdp, &cp16, &cp24)},
	{id: 20, name: "M_PS_NA_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: runs, shape: shape(&scd, &qds)},
	{id: 21, name: "M_ME_ND_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, form: runs, shape: shape(&nva)},
	{id: 30, name: "M_SP_TB_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, shape: shape(&siq, &cp56)},
	{id: 31, name: "M_DP_TB_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, shape: shape(&diq, &cp56)},
	{id: 32, name: "M_ST_TB_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, shape: shape(&vti, &qds, &cp56)},
	{id: 33, name: "M_BO_TB_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, shape: shape(&bsi, &qds, &cp56)},
	{id: 34, name: "M_ME_TD_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, shape: shape(&nva, &qds, &cp56)},
	{id: 35, name: "M_ME_TE_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, shape: shape(&sva, &qds, &cp56)},
	{id: 36, name: "M_ME_TF_1", op: protocols.Report, kind: protocols.AnalogIn, class: process, shape: shape(&r32, &qds, &cp56)},
	{id: 37, name: "M_IT_TB_1", op: protocols.Report, kind: protocols.Counter, class: totals, shape: shape(&bcr, &cp56)},
	{id: 38, name: "M_EP_TD_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, shape: shape(&sep, &cp16, &cp56)},
	{id: 39, name: "M_EP_TE_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: single, shape: shape(&spe, &qdp, &cp16, &cp56)},
	{id: 40, name: "M_EP_TF_1", op: protocols.Report, kind: protocols.BinaryIn, class: process, form: single, shape: shape(&oci, &qdp, &cp16, &cp56)},
	{id: 41, name: "S_IT_TC_1", op: protocols.Report, kind: protocols.Counter, class: totals, shape: shape(&aid, &bcr, &cp56)},

	{id: 45, name: "C_SC_NA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&sco)},
	{id: 46, name: "C_DC_NA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&dco)},
	{id: 47, name: "C_RC_NA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&rco)},
	{id: 48, name: "C_SE_NA_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&nva, &qos)},
	{id: 49, name: "C_SE_NB_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&sva, &qos)},
	{id: 50, name: "C_SE_NC_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&r32, &qos)},
	{id: 51, name: "C_BO_NA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&bsi)},
	{id: 58, name: "C_SC_TA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&sco, &cp56)},
	{id: 59, name: "C_DC_TA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&dco, &cp56)},
	{id: 60, name: "C_RC_TA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&rco, &cp56)},
	{id: 61, name: "C_SE_TA_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&nva, &qos, &cp56)},
	{id: 62, name: "C_SE_TB_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&sva, &qos, &cp56)},
	{id: 63, name: "C_SE_TC_1", op: protocols.Operate, kind: protocols.AnalogOut, class: command, form: single, shape: shape(&r32, &qos, &cp56)},
	{id: 64, name: "C_BO_TA_1", op: protocols.Operate, kind: protocols.BinaryOut, class: command, form: single, shape: shape(&bsi, &cp56)},

	{id: 70, name: "M_EI_NA_1", op: protocols.Session, class: initialised, form: single, shape: shape(&coi)},

	{id: 81, name: "S_CH_NA_1", op: protocols.Session, class: security, form: bodyless, sec: sec(csq, usr, mal, rsc, cln)},
	{id: 82, name: "S_RP_NA_1", op: protocols.Session, class: security, form: bodyless, sec: sec(csq, usr, hln)},
	{id: 83, name: "S_AR_NA_1", op: protocols.Session, class: security, form: bodyless},
	{id: 84, name: "S_KR_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(usr)},
	{id: 85, name: "S_KS_NA_1", op: protocols.Session, class: fromStation, form: bodyless, sec: sec(ksq, usr, kwa, kst, mal, cln)},
	{id: 86, name: "S_KC_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(ksq, usr, wkl)},
	{id: 87, name: "S_ER_NA_1", op: protocols.Session, class: security, form: bodyless, sec: sec(csq, ksq, usr, asc, erc)},
	{id: 90, name: "S_US_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(kcm, opr, scs, url, uei)},
	{id: 91, name: "S_UQ_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(kcm, unl, ccl)},
	{id: 92, name: "S_UR_NA_1", op: protocols.Session, class: fromStation, form: bodyless, sec: sec(ksq, usr, cdl)},
	{id: 93, name: "S_UK_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(ksq, usr, eul)},
	{id: 94, name: "S_UA_NA_1", op: protocols.Session, class: fromMaster, form: bodyless, sec: sec(ksq, usr, eul)},
	{id: 95, name: "S_UC_NA_1", op: protocols.Session, class: security, form: bodyless},

	{id: 100, name: "C_IC_NA_1", op: protocols.Read, class: system, form: single, shape: shape(&qoi)},
	{id: 101, name: "C_CI_NA_1", op: protocols.Read, class: system, form: single, shape: shape(&qcc)},
	{id: 102, name: "C_RD_NA_1", op: protocols.Read, class: reading, form: single},
	{id: 103, name: "C_CS_NA_1", op: protocols.Time, class: clocks, form: single, shape: shape(&cp56)},
	{id: 104, name: "C_TS_NA_1", op: protocols.Diagnose, class: system, form: single | only101, shape: shape(&fbp)},
	{id: 105, name: "C_RP_NA_1", op: protocols.Restart, class: system, form: single, shape: shape(&qrp)},
	{id: 106, name: "C_CD_NA_1", op: protocols.Time, class: clocks, form: single | only101, shape: shape(&cp16)},
	{id: 107, name: "C_TS_TA_1", op: protocols.Diagnose, class: system, form: single, shape: shape(&tsc, &cp56)},

	{id: 110, name: "P_ME_NA_1", op: protocols.Configure, kind: protocols.AnalogOut, class: parameter, form: single, shape: shape(&nva, &qpm)},
	{id: 111, name: "P_ME_NB_1", op: protocols.Configure, kind: protocols.AnalogOut, class: parameter, form: single, shape: shape(&sva, &qpm)},
	{id: 112, name: "P_ME_NC_1", op: protocols.Configure, kind: protocols.AnalogOut, class: parameter, form: single, shape: shape(&r32, &qpm)},
	{id: 113, name: "P_AC_NA_1", op: protocols.Configure, class: parameter, form: single, shape: shape(&qpa)},

	{id: 120, name: "F_FR_NA_1", op: protocols.File, class: files, form: single, shape: shape(&nof, &lof, &frq)},
	{id: 121, name: "F_SR_NA_1", op: protocols.File, class: files, form: single, shape: shape(&nof, &nos, &lof, &srq)},
	{id: 122, name: "F_SC_NA_1", op: protocols.File, class: calls, form: single, shape: shape(&nof, &nos, &scq)},
	{id: 123, name: "F_LS_NA_1", op: protocols.File, class: files, form: single, shape: shape(&nof, &nos, &lsq, &chs)},
	{id: 124, name: "F_AF_NA_1", op: protocols.File, class: files, form: single, shape: shape(&nof, &nos, &afq)},
	{id: 125, name: "F_SG_NA_1", op: protocols.File, class: files, form: single | segment, shape: shape(&nof, &nos, &los)},
	{id: 126, name: "F_DR_TA_1", op: protocols.File, class: directory, form: runs, shape: shape(&nof, &lof, &sof, &cp56)},
	{id: 127, name: "F_SC_NB_1", op: protocols.File, class: calls, form: single, shape: shape(&nof, &cp56, &stop)},
}

var codes = makeCodes()

// makeCodes fills in what follows from the shapes, indexes the rows and returns them as the catalog wants them.
func makeCodes() []protocols.Code {
	out := make([]protocols.Code, len(rows))
	for i := range rows {
		r := &rows[i]
		rowOf[r.id] = r
		for _, e := range r.shape {
			r.size += e.size
			if e != &cp24 && e != &cp56 {
				r.bare += e.size
			}
		}
		out[i] = protocols.Code{Code: uint16(r.id), Name: r.name, Op: r.op, Depth: r.depth()}
	}
	return out
}

// depth says in words what of the type is decoded.
func (r *row) depth() string {
	var words []string
	for _, e := range r.shape {
		words = append(words, e.name)
	}
	for _, f := range r.sec {
		words = append(words, f.name)
	}
	switch {
	case r.form&segment != 0:
		words = append(words, "data (checksum)")
	case r.id == 83:
		words = append(words, "the ASDU inside")
	case len(words) == 0:
		words = append(words, "header")
	}
	return strings.Join(words, ", ")
}

var sheets = makeSheets()

func makeSheets() []protocols.Sheet {
	types := protocols.Sheet{Title: "Type ids, structure and causes",
		Header: []string{"type", "name", "octets per object", "SQ", "objects", "cause in control direction", "cause in monitor direction"}}
	for i := range rows {
		r := &rows[i]
		size, sq, n := strconv.Itoa(r.size), "0", "1 to 127"
		if r.form&runs != 0 {
			sq = "0, 1"
		}
		if r.form&(single|bodyless) != 0 {
			n = "1"
		}
		switch {
		case r.form&segment != 0:
			size += " + LOS"
		case r.form&bodyless != 0:
			size = "no object"
		}
		name := r.name
		if r.form&only101 != 0 {
			name += " (101)"
		}
		types.Rows = append(types.Rows, []string{strconv.Itoa(int(r.id)), name, size, sq, n, r.class.control.String(), r.class.monitor.String()})
	}
	words := protocols.Sheet{Title: "Causes of transmission", Header: []string{"cause", "word"}}
	for i, name := range causeNames {
		if name != "" {
			words.Rows = append(words.Rows, []string{strconv.Itoa(i), name})
		}
	}
	return []protocols.Sheet{types, words}
}
