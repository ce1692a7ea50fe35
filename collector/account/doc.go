// Package account is who may do what: passwords, sign-in, sessions, and the table of routes with the roles each needs.
//
//	request ──▸ headers ──▸ cross-origin check ──▸ session ──▸ route ──▸ door: who is it? ──▸ role ──▸ handler
//
// Every address of the collector is a Route that names its Door (how one shows who one is) and the roles it is for. A
// Route without roles is for nobody, and an address that is no Route does not exist: nothing is open by omission.
//
// A viewer reads; an analyst also judges, releases and retracts; an engineer also approves baselines and keeps rules; an
// admin also keeps users and sensors. An auditor reads who did what, and a platform account health: neither sees an alert.
// A cert account reads released objects over TAXII and nothing else. A cert-analyst, who is a person, does too, and writes
// to the operator about them; no other role does either.
//
// A user may have a second factor (RFC 6238), and a role may need one. A sealed account opens once, with a reason, for an
// hour, before everybody's eyes.
package account
