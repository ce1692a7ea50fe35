// Package sector finds what operators see only together: the same act at several of them within an hour. It is for the
// collector of a CERT, which is in the store as an operator of its own, without sensors.
//
//	operator: consent? ──▸ its acts, or its releases ──┐
//	operator: consent? ──▸ …                           ├─▸ joined in memory ──▸ campaigns ──▸ page, API
//	operator: no       ──▸ nothing is read             ┘                          └──▸ alert in the CERT's own queue
//
// Whoever is compared has said so, at an account of the CERT's (store.Consent), and without that nothing of an operator is
// read. Each operator is read by its own scope, or by its own collector where that is elsewhere, and no statement reads two. An
// act leaves its operator as rule, technique, severity, times and numbers of sites and alerts, and is shown only where enough
// operators have it; who they are is said of those that released an alert of it.
package sector
