package flow

// Kins returns how many groups of kin connections a Table remembers.
func (t *Table) Kins() int { return len(t.kins) }
