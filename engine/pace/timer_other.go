//go:build !linux

package pace

// NewTimer returns the most punctual timer of the system: here the plain one.
func NewTimer() (Timer, error) { return NewPlainTimer(), nil }
