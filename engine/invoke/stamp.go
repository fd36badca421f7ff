package invoke

import "time"

// TCP tells when the last bytes came, in their order: where some before them
// were lost and sent again, all of them lay there until those had come, and that
// is the network's time. So what has lain there for longer than surely is believed
// only where the last packet came no more than jiffy later, as far as the system
// counts that: in steps of 1 to 10 ms.
const (
	surely = 2 * time.Millisecond
	jiffy  = 5 * time.Millisecond
)

// since returns when what was read last came in, counted from base, where that
// was noted and can be: not before from. It is called right after the reading:
// for how long it had lain there the wall clock tells, which may be set at any
// other time.
func (s *stamp) since(base time.Time, from time.Duration) time.Duration {
	if s == nil || s.at == 0 {
		return time.Since(base)
	}
	now := time.Now()
	return s.before(now, now.Sub(base), from, s.lastPacket)
}

// before is since, at a time. lastPacket returns how long ago the last packet
// came; less than 0 where that is not known.
func (s *stamp) before(clock time.Time, now, from time.Duration, lastPacket func() time.Duration) time.Duration {
	lay := time.Duration(clock.UnixNano() - s.at)
	if lay < 0 || lay > now-from {
		return now
	}
	if lay > surely {
		if last := lastPacket(); last < 0 || lay > last+jiffy {
			return now
		}
	}
	return now - lay
}
