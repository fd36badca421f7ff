package invoke

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"volley/engine"
)

// TestIdleLongerThanTheTimeout holds that a connection is used again when it was
// idle for longer than a request may take.
func TestIdleLongerThanTheTimeout(t *testing.T) {
	both(t, func(t *testing.T, open func(t testing.TB, o Options) Transport) {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer s.Close()
		h := open(t, Options{})
		base := time.Now()
		for n := range 3 {
			var p engine.Response
			tm := Timing{Base: base, Until: time.Since(base) + 100*ms}
			if err := h.Exchange(t.Context(), 0, ask(t, "POST", s.URL, "x"), &p, &tm); err != nil || tm.Reused != (n > 0) {
				t.Errorf("request %d: %v, reused %v", n, err, tm.Reused)
			}
			time.Sleep(120 * ms)
		}
	})
}
