package runner

import (
	"time"

	"volley/report/live"
)

// progress shows how the run stands until the returned function is called.
func (s *session) progress() (stop func()) {
	if s.p.Quiet {
		return func() {}
	}
	terminal := s.p.Err.plain()
	o := live.Options{Out: terminal, Bars: s.p.Bars, Colour: s.p.Bars && s.p.Colour}
	if s.p.Width != nil {
		o.Width = s.p.Width()
	}
	shown := live.Start(o, s.snapshot)
	s.p.Err.through(shown)
	return func() {
		shown.Stop()
		s.p.Err.through(terminal)
	}
}

// snapshot says how the run stands, in the words of its progress.
func (s *session) snapshot() live.Snapshot {
	l := s.plan.Load
	r, t := s.record.Snapshot(), s.run.Tally()
	out := live.Snapshot{
		Elapsed: max(0, t.Elapsed), Rate: r.PerSecond, InFlight: t.InFlight, Results: r.Invocations, Failed: r.Failed, P99: r.P99,
		Done: t.Finished + t.Canceled, All: l.Iterations, Stopped: s.stopping(),
	}
	length := l.Level.Length()
	if l.Crowd != nil {
		length = l.Crowd.Length()
	}
	if length < 1000*time.Hour { // longer ones only stand for no end
		out.Total = length
	}
	if t.Elapsed < l.Warmup {
		out.Phase, out.Total, out.All = live.WarmingUp, l.Warmup, 0
		return out
	}
	out.Elapsed -= l.Warmup
	select {
	case <-s.run.Ended():
		out.Phase = live.Finishing
	default:
	}
	return out
}

func (s *session) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}
