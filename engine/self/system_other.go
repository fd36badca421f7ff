//go:build !unix && !windows

package self

import "time"

func processCPU() (time.Duration, bool) { return 0, false }

func fileLimit() Reading { return Reading{} }

func maxRSS() Reading { return Reading{} }
