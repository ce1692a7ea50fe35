// Package modbusstation speaks Modbus/TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, Application Protocol
// V1.1b3) on both sides: Server is a small device or gateway, Master is github.com/goburrow/modbus over any net.Conn.
//
//	transaction 2 | protocol 2 = 0 | length 2 | unit 1 | function 1 | data
//
// Limits: one request at a time per connection; diagnostics keep only the counters they report.
package modbusstation
