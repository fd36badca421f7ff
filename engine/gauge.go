package engine

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"volley/engine/pace"
)

// A fullClock measures the time in which all places were taken.
type fullClock struct {
	limit int64
	from  time.Duration // what lies before does not count

	mu    sync.Mutex
	on    bool
	since time.Duration
	sum   time.Duration
}

// begin and end are called after taken has been changed, and may come late and
// in any order; so each looks at taken again.

func (c *fullClock) begin(now time.Duration, taken *atomic.Int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on && taken.Load() >= c.limit {
		c.on, c.since = true, now
	}
}

func (c *fullClock) end(now time.Duration, taken *atomic.Int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		c.sum += c.counted(now)
		c.on, c.since = taken.Load() >= c.limit, now
	}
}

func (c *fullClock) counted(now time.Duration) time.Duration {
	return max(0, now-max(c.since, c.from))
}

func (c *fullClock) total(now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		return c.sum + c.counted(now)
	}
	return c.sum
}

// window is the stretch of time over which bursts are looked for.
const window = 100 * time.Millisecond

// burstFloor is the fewest arrivals asked of a window for it to be judged:
// 100/s. With fewer, a ratio says little.
const burstFloor = 10

// A burst finds the window in which the most was sent against what was asked
// of it. The pacer alone calls due and sent.
type burst struct {
	level pace.Profile
	from  time.Duration

	asked [4]bucket // arrivals due in the last windows
	now   bucket    // arrivals sent in this one
	ratio atomic.Uint64
}

type bucket struct {
	index int64
	count int64
}

func (b *burst) due(at time.Duration) {
	i := int64(at / window)
	slot := &b.asked[i%int64(len(b.asked))]
	if slot.index != i {
		*slot = bucket{index: i}
	}
	slot.count++
}

func (b *burst) sent(at time.Duration) {
	if i := int64(at / window); i != b.now.index {
		b.judge()
		b.now = bucket{index: i}
	}
	b.now.count++
}

// judge compares the window that is over with what was asked of it: the area
// under the profile or, for random arrivals, what was really due in it or in
// the one before (a little lateness moves arrivals into the next window).
func (b *burst) judge() {
	start := time.Duration(b.now.index) * window
	if start < b.from {
		return
	}
	// What is sent after the end of the load was asked for in its last window.
	from := min(start-b.from, max(0, b.level.Length()-window))
	asked := b.level.Area(from+window) - b.level.Area(from)
	for _, i := range []int64{b.now.index, b.now.index - 1} {
		if i < 0 {
			continue
		}
		if slot := b.asked[i%int64(len(b.asked))]; slot.index == i {
			asked = max(asked, float64(slot.count))
		}
	}
	if asked < burstFloor {
		return
	}
	if ratio := float64(b.now.count) / asked; ratio > b.worst() {
		b.ratio.Store(math.Float64bits(ratio))
	}
}

func (b *burst) worst() float64 { return math.Float64frombits(b.ratio.Load()) }
