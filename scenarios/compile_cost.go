package scenarios

import (
	"cmp"

	"volley/engine"
	"volley/scenarios/payload"
)

// defaultMemory is what a function has where nothing else is configured
// (PROTOCOL.md 7.1).
const defaultMemory = 256 << 20

// compileCost checks the prices.
func (c *compiler) compileCost() {
	p := c.scenario.Cost
	if p == nil {
		return
	}
	if p.PriceGBS == 0 && p.PricePerMillion == 0 {
		c.fail("cost", "add price_gb_s, price_per_million, or both", "no price is in it")
	}
	if c.has("cost.memory") && p.Memory <= 0 {
		c.fail("cost.memory", "write a size such as 256MiB", "%s is no memory", quote(c.nodes["cost.memory"].text))
	}
	if len(p.Currency) > 16 {
		c.fail("cost.currency", "write a short name such as USD", "%s is too long for the name of a currency", quote(p.Currency))
	}
	p.Memory = cmp.Or(p.Memory, defaultMemory)
	c.plan.Cost = &engine.Cost{PerGBSecond: p.PriceGBS, PerMillion: p.PricePerMillion, MemoryBytes: int64(p.Memory), Budget: p.Budget, Currency: p.Currency}
}

// server compiles what says where a reply tells about the function's side: a
// step's own words, and the target's where it has none.
func (c *compiler) server(own *Server, path string, common *Server, commonPath string, v scopeVars) *engine.ServerProbe {
	if own == nil && common == nil {
		return nil
	}
	pick := func(key string, of func(*Server) Expr) func(*engine.Scope, *engine.Reply) (any, error) {
		switch {
		case own != nil && of(own) != "":
			return c.probe(join(path, key), of(own), v)
		case common != nil && of(common) != "":
			return c.probe(join(commonPath, key), of(common), scopeVars{all: true})
		}
		return nil
	}
	return &engine.ServerProbe{
		DurationMS:  pick("duration_ms", func(s *Server) Expr { return s.DurationMS }),
		BilledMS:    pick("billed_ms", func(s *Server) Expr { return s.BilledMS }),
		MemoryBytes: pick("memory_bytes", func(s *Server) Expr { return s.MemoryBytes }),
		Cold:        pick("cold", func(s *Server) Expr { return s.Cold }),
		Instance:    pick("instance", func(s *Server) Expr { return s.Instance }),
	}
}

// probe compiles one expression of a reply.
func (c *compiler) probe(path string, e Expr, v scopeVars) func(*engine.Scope, *engine.Reply) (any, error) {
	src, shift := bare(e)
	x, err := payload.CompileExpr(src, payload.Reply)
	if err != nil {
		c.exprError(path, err, shift)
		return nil
	}
	if len(x.Reads()) == 0 {
		c.fail(path, "write where the reply says it, such as body.ms or headers['x-instance']", "%s is the same for every reply", quote(src))
		return nil
	}
	c.reads(path, x.Reads(), v)
	env, field, look := c.env, salt(path), c.viewOf(x.Reads())
	return func(s *engine.Scope, r *engine.Reply) (any, error) { return x.Eval(replyEnv(env, field, look, s, r)) }
}
