// Package dnp3station speaks DNP3 (IEEE Std 1815-2012) on both sides: Outstation answers, Session is a master.
//
//	05 64 | length | control | destination 2 | source 2 | crc 2 | (16 octets | crc 2) …   data link, clause 9
//	FIN FIR sequence 6                                                                    transport, clause 8
//	FIR FIN CON UNS sequence 4 | function | internal indications 2 (responses) | objects  application, clause 4
//
// Limits: confirmed user data is answered but not sent; secure authentication is one challenge with a fixed update key.
package dnp3station
