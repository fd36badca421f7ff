//go:build !linux

package emulator

import "time"

func newSleeper(start time.Time) (sleeper, error) { return timers{start}, nil }
