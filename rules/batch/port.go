package batch

// A Port is what a sensor says about one watched interface.
type Port struct {
	Name   string            `json:"name"`          // as configured
	Now    string            `json:"now,omitempty"` // its name at present, where it was renamed
	State  string            `json:"state"`         // up, down (no link) or gone
	Tier   string            `json:"tier"`          // how frames are captured, in words that begin with A to F
	Frames map[string]uint64 `json:"frames"`        // that came in, by what became of each; each is in exactly one
	Merged uint64            `json:"merged"`        // put together from several by the host: timing and counts are degraded
	Stamps map[string]uint64 `json:"stamps"`        // frames by who took their time: hardware, driver, kernel
	Sent   uint64            `json:"sent"`          // by the interface's own count; must be 0
	Tried  uint64            `json:"tried"`         // somebody tried to send, and the kernel dropped it

	Coverage *Cover `json:"coverage,omitempty"` // of the payload of its frames
}
