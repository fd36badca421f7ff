package check

// An Ending is everything that can be said about how a command ended. Several
// of it can hold at once.
type Ending struct {
	WrongCommandLine bool
	WrongScenario    bool
	CouldNotRun      bool
	Interrupted      bool
	Stopped          bool // by a budget or a fatal class
	Invalid          bool // the measurement
	ThresholdFailed  bool
	Worse            bool // the candidate
	TooManyFailed    bool // rows of a batch
	Inconclusive     bool // a comparison or a capacity search
}

// ExitCode returns the exit code of DESIGN.md 4: where several things hold,
// what made the rest meaningless comes first.
func (e Ending) ExitCode() int {
	for _, c := range []struct {
		holds bool
		code  int
	}{
		{e.WrongCommandLine, 2},
		{e.WrongScenario, 104},
		{e.CouldNotRun, 1},
		{e.Interrupted, 105},
		{e.Stopped, 115},
		{e.Invalid, 111},
		{e.ThresholdFailed, 99},
		{e.Worse, 112},
		{e.TooManyFailed, 114},
		{e.Inconclusive, 113},
	} {
		if c.holds {
			return c.code
		}
	}
	return 0
}
