// Package collector puts the collector together: store, ingest, console, API and what a CERT may pull, each behind its
// own package, on two listeners.
//
//	sensors ── ingest listener (TLS, client certificates) ──▸ ingest ──▸ store ──▸ console, API ──┐
//	                                                                      │                        ├── console listener
//	                                                                      └──▸ share ──▸ TAXII ────┘
package collector
