package runner

import (
	"errors"
	"testing"
)

// Where several reasons end a run, all of them are told, and one that is fatal
// counts, whichever came first.
func TestEndingForSeveralReasons(t *testing.T) {
	var e ending
	if why, err, fatal := e.get(); why != "" || err != nil || fatal {
		t.Errorf("without a reason: %q, %v, %v", why, err, fatal)
	}
	broke := Hinted(errors.New("the budget is used up"), "raise it")
	e.add("the threshold p99 < 1ms failed", nil, false)
	if why, err, fatal := e.get(); why != "the threshold p99 < 1ms failed" || err != nil || fatal {
		t.Errorf("a threshold alone: %q, %v, %v", why, err, fatal)
	}
	e.add("the budget of 1 is used up", broke, true)
	why, err, fatal := e.get()
	if why != "the threshold p99 < 1ms failed; the budget of 1 is used up" || !errors.Is(err, broke) || !fatal {
		t.Errorf("%q, %v, %v; want both, fatal", why, err, fatal)
	}
}
