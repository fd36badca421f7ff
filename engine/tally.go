package engine

import "time"

// A Tally is how far a run has come. Numbers are of iterations, and those due
// in the warm-up are not in them.
type Tally struct {
	Due      int64 // the plan wanted them
	Sent     int64 // taken up by a caller
	Dropped  int64 // due while all of max_in_flight was in use; Due = Sent + Dropped, plus what waits for a caller; what still waits when the run is stopped is dropped
	Finished int64 // ended by themselves, failed or not
	Canceled int64 // cut short by the end of the run
	Warmup   int64 // due in the warm-up, and so excluded

	InFlight int           // under way now, warm-up included
	Callers  int           // hired so far
	Elapsed  time.Duration // since the start of the run
	Asking   time.Duration // from the end of the warm-up to when the last of Due was due, and its gap over; Sending is longer where when_busy is wait
	Sending  time.Duration // from the end of the warm-up to the end of the load, when nothing more was due
	Active   time.Duration // from the end of the warm-up to the end of the load or of the last iteration, whichever is later
	Full     time.Duration // time in which all of max_in_flight was in use
	Burst    float64       // the busiest 100 ms against what was asked of it; 0 where fewer than 100/s were asked
}
