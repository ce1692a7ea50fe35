package engine

import "github.com/roje-ot/roje/rules"

// Use makes sentences and alerts call points what labels say, from the next event on; nil is none.
func (g *Engine) Use(labels rules.Labels) { g.env.Labels = labels }
