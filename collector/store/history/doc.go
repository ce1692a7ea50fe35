// Package history measures what a store costs people when it holds years of alerts: a page of the queue, a search, and
// an alert's own page, asked for at the API, over a store that was filled to a size.
//
//	go test ./collector/store/history -run '^$' -bench History -alerts 1000000,10000000 -benchtime 1x -timeout 3h
//
// The test of the same name holds for a smaller store what no clock is needed for: that a page reads no more of the
// database when there is four times as much in it.
package history
