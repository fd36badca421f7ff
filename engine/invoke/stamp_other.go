//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package invoke

import (
	"errors"
	"syscall"
	"time"
)

// A stamp is not known here.
type stamp struct{ at int64 }

func newStamp(syscall.RawConn) *stamp { return nil }

func (*stamp) receive(direct, []byte) (int, error) { return 0, errors.ErrUnsupported }

func (*stamp) lastPacket() time.Duration { return never }
