package emulator

import (
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// A version is one version of a function made ready to be asked.
type version struct {
	fn      Function
	key     uint64        // what its random numbers depend on
	asked   atomic.Uint64 // requests so far
	mu      float64       // of the logarithm of the latency in ns
	sigma   float64       // 0: constant
	limit   time.Duration // the time limit
	risks   []risk        // Errors, in the order of their names
	expired mishap        // how it ends when the time limit is up
	pool    *pool
}

// A risk is a mishap that meets the requests whose draw is below edge and not
// below the edge of the risk before.
type risk struct {
	edge   float64
	mishap mishap
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

func newVersion(seed uint64, name, qualifier string, f Function) *version {
	v := &version{fn: f, limit: f.Timeout}
	h := fnv.New64a()
	h.Write(strconv.AppendUint(nil, seed, 10))
	h.Write([]byte("\x00" + name + "\x00" + qualifier))
	v.key = mix(h.Sum64())
	if l := f.Latency; l.P99 > l.P50 {
		v.mu = math.Log(float64(l.P50))
		v.sigma = (math.Log(float64(l.P99)) - v.mu) / z99
	}
	if v.limit == 0 {
		v.limit = maxTimeout
	}
	known := mishaps()
	edge := 0.0
	for _, name := range slices.Sorted(maps.Keys(f.Errors)) {
		m := known[name]
		edge += f.Errors[name]
		v.risks = append(v.risks, risk{edge, m})
	}
	v.expired = known["function_timeout"]
	v.pool = newPool(f.Concurrency, f.Burst)
	return v
}

// patience is how long a request takes that is said to run into the time
// limit: the limit that was set, else the one that the platform sets.
func (v *version) patience() time.Duration {
	if v.fn.Timeout == 0 {
		return platformLimit
	}
	return v.fn.Timeout
}

// A draw holds the random numbers of one request. They depend on the seed, the
// function, the version, and how many requests that version had before.
type draw uint64

func (v *version) draw() draw { return draw(v.key + v.asked.Add(1)<<2) }

// share returns the i-th number, even in (0,1); i is below 4. It is the
// SplitMix64 generator read at any place (Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", OOPSLA 2014).
func (d draw) share(i uint64) float64 {
	return (float64(mix((uint64(d)+i)*0x9E3779B97F4A7C15)>>11) + 0.5) / (1 << 53)
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// latency is how long the function works on the request of d.
func (v *version) latency(d draw) time.Duration {
	if v.sigma == 0 {
		return v.fn.Latency.P50
	}
	return lognormal(v.mu, v.sigma, d.share(0))
}

// lognormal returns the quantile q of the log-normal distribution, at most
// twice the longest time limit: what is longer ends at the limit anyway.
func lognormal(mu, sigma, q float64) time.Duration {
	z := math.Sqrt2 * math.Erfinv(2*q-1)
	return time.Duration(min(math.Exp(mu+sigma*z), float64(2*maxTimeout)))
}

// mishap returns what goes wrong with the request of d; nil is nothing.
func (v *version) mishap(d draw) *mishap {
	if len(v.risks) == 0 {
		return nil
	}
	share := d.share(1)
	for i := range v.risks {
		if share < v.risks[i].edge {
			return &v.risks[i].mishap
		}
	}
	return nil
}

// until returns when an answer can be given that is ready at t, both counted
// from the server's start.
func (s Stall) until(t time.Duration) time.Duration {
	if s.Every <= 0 {
		return t
	}
	if phase := t % s.Every; phase >= s.Every-s.For {
		return t - phase + s.Every
	}
	return t
}
