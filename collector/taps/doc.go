// Package taps compares what two sensors saw of the same session: detection L05 of the catalogue. A command that left the
// master past one tap and came by the other as something else was changed on its way.
//
//	master ──── tap of sensor A ────(?)──── tap of sensor B ──── station
//
// It takes the ledger records that sensors ship anyway. Sensors that watch the same path say so by the same name in their
// `taps`; nothing is compared of sensors that do not, as two sites may use the same addresses.
//
// Taps lose packets, so what each saw is a part. A record of which a tap has lost the select, or the execution, is held
// against the rest of it; and two actions that are further apart than those around them, which came by alike, are two of
// which each tap has lost one.
//
// Limits: it sees what the ledger has, which are commands and writes, not reports. An action that only one of the two
// saw is not told, nor one that was changed and held up; one that came by both taps at the same time and was not the same
// is. Address translation between the taps makes two sessions of one.
package taps
