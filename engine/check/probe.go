package check

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"volley/engine"
)

// Bounds of what a function can say of itself; what is past them is not told.
const (
	maxTold       = time.Hour
	maxToldMemory = 1 << 40 // bytes
)

// probe lets the scenario say what a reply tells of the function's side. What
// it finds replaces what the method knows; what it does not find, or what
// makes no sense, leaves that as it is. It never fails a reply.
func probe(p *engine.ServerProbe, s *engine.Scope, r *engine.Reply) {
	ask := func(f func(*engine.Scope, *engine.Reply) (any, error)) any {
		if f == nil {
			return nil
		}
		v, err := f(s, r)
		if err != nil {
			return nil
		}
		return v
	}
	if d, ok := milliseconds(ask(p.DurationMS)); ok {
		r.Server.Timed, r.Server.Duration = true, d
	}
	if d, ok := milliseconds(ask(p.BilledMS)); ok {
		r.Server.Billed = d
	}
	if f, ok := number(ask(p.MemoryBytes)); ok && f <= maxToldMemory {
		r.Server.MemoryBytes = int64(math.Round(f))
	}
	if cold, ok := truth(ask(p.Cold)); ok {
		r.Server.Cold = cold
	}
	if name, ok := ask(p.Instance).(string); ok {
		if name = bound(name, engine.MaxInstance); name != "" {
			r.Server.Instance = name
		}
	}
}

func milliseconds(v any) (time.Duration, bool) {
	f, ok := number(v)
	if !ok || f > float64(maxTold/time.Millisecond) {
		return 0, false
	}
	return time.Duration(math.Round(f * float64(time.Millisecond))), true
}

// number reads a number, or text that is one in decimal digits: 0 or more.
// Callers have an upper bound, so that none is endless.
func number(v any) (float64, bool) {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case float32:
		f = float64(v)
	case int:
		f = float64(v)
	case int64:
		f = float64(v)
	case int32:
		f = float64(v)
	case uint64:
		f = float64(v)
	case json.Number:
		return number(v.String())
	case string:
		v = strings.TrimSpace(v)
		var err error
		if f, err = strconv.ParseFloat(v, 64); err != nil || strings.Trim(v, "0123456789.eE+-") != "" {
			return 0, false
		}
	default:
		return 0, false
	}
	return f, f >= 0
}

// truth reads a boolean, "true" or "false", 1 or 0.
func truth(v any) (engine.Answer, bool) {
	switch t := v.(type) {
	case bool:
		if t {
			return engine.Yes, true
		}
		return engine.No, true
	case string:
		switch strings.ToLower(strings.TrimSpace(t)) {
		case "true":
			return engine.Yes, true
		case "false":
			return engine.No, true
		}
	}
	switch f, ok := number(v); {
	case ok && f == 1:
		return engine.Yes, true
	case ok && f == 0:
		return engine.No, true
	}
	return engine.Unknown, false
}
