package invoke

import "time"

// longestLag is the longest that what is read is taken to have lain there. TCP
// tells when the last bytes came, in their order: where some before them were
// lost and sent again, all of them lay there until those had come, and that is
// the network's time. It is rarely as short as this.
const longestLag = 2 * time.Millisecond

// since returns when what was read last came in, counted from base, where that
// was noted and can be: not before from. It is called right after the reading:
// for how long it had lain there the wall clock tells, which may be set at any
// other time.
func (s *stamp) since(base time.Time, from time.Duration) time.Duration {
	if s == nil || s.at == 0 {
		return time.Since(base)
	}
	now := time.Now()
	return s.before(now, now.Sub(base), from)
}

func (s *stamp) before(clock time.Time, now, from time.Duration) time.Duration {
	lay := time.Duration(clock.UnixNano() - s.at)
	if lay < 0 || lay > longestLag || lay > now-from {
		return now
	}
	return now - lay
}
