package ledger

// Commands is how many messages of the master a record stands for.
func Commands(r *Record) int { return r.commands }
