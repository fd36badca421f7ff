package invoke

import "time"

// since returns when what was read last came in, counted from base, where that
// was noted and can be: not before from, and not after now. A wall clock that
// was set meanwhile says what cannot be.
func (s *stamp) since(base time.Time, from, now time.Duration) time.Duration {
	if s == nil || s.at == 0 {
		return now
	}
	at := time.Duration(s.at - base.UnixNano())
	if at < from || at > now {
		return now
	}
	return at
}
