package emulator

import (
	"fmt"
	"time"
)

// invoke asks the function. run makes its answer with the version's reply.
func (x *exchange) invoke(run func(reply func(any) ([]byte, error)) answer) {
	v := x.to.version
	d := v.draw()
	m := v.mishap(d)
	start := x.s.now()
	if m != nil && m.stage == atGateway {
		x.settle(start, m.answer(x))
		return
	}
	var q quota
	x.instance, x.cold, q = v.pool.acquire(x.s.start, start)
	if q != fits {
		x.settle(start, x.overQuota(q))
		return
	}
	x.work = v.latency(d)
	limit := x.within(v.limit)
	var a answer
	keep := true
	switch {
	case m != nil && m.stage == atLimit:
		x.work = x.within(v.patience())
		a, keep = m.answer(x), !m.fatal
	case x.work > limit:
		x.work = limit
		a, keep = v.expired.answer(x), false
	case m != nil && m.fault != halfFault:
		a, keep = m.answer(x), !m.fatal
	default:
		a = x.result(run(guard(v.fn.Reply)), start)
		if m != nil {
			a.fault, a.end = m.fault, end{m.outcome, m.name, a.status}
		}
	}
	ready := start + x.work
	if x.cold {
		ready += v.fn.ColdStart
	}
	ready = v.fn.Stall.until(ready)
	ok := x.s.sleep.until(ready, x.stop)
	now := x.s.now()
	x.spent = now - start
	v.pool.release(x.instance, now, keep)
	if !ok {
		x.abort(outcomeCanceled, "")
	}
	x.send(a)
}

// within is d, or what the protocol allows where that is less.
func (x *exchange) within(d time.Duration) time.Duration {
	if x.ceiling > 0 {
		return min(d, x.ceiling)
	}
	return d
}

// result is what becomes of a, which the function made from start on.
func (x *exchange) result(a answer, start time.Duration) answer {
	if x.form != nil {
		x.work = max(x.work, x.s.now()-start)
	}
	if int64(len(a.body)) > x.s.maxBody {
		err := fmt.Errorf("the response is larger than %d bytes", x.s.maxBody)
		if x.form != nil {
			return x.platform(end{outcomeFunction, codeFailed, 407}, err.Error(), "407")
		}
		a = x.failure(err)
		a.status, a.upstream = 407, "407"
		return a
	}
	if x.form != nil && a.outcome == outcomeOK {
		return x.form.success(x, a.body)
	}
	return a
}

// settle gives an answer that needs no instance, when the stall lets it.
func (x *exchange) settle(ready time.Duration, a answer) {
	if !x.s.sleep.until(x.to.version.fn.Stall.until(ready), x.stop) {
		x.abort(outcomeCanceled, "")
	}
	x.send(a)
}

func (x *exchange) overQuota(q quota) answer {
	if q == overBurst {
		return x.platform(end{outcomeThrottle, codeResources, 429}, "ResourceLimit: instances are added too fast", "-")
	}
	return x.platform(end{outcomeThrottle, codeResources, 432}, "ResourceLimitReached: all instances are busy", "-")
}

// guard makes a panic an error, as the platform does with a function's.
func guard(reply func(any) ([]byte, error)) func(any) ([]byte, error) {
	if reply == nil {
		return nil
	}
	return func(event any) (body []byte, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return reply(event)
	}
}
