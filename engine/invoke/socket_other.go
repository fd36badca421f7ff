//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package invoke

import (
	"errors"
	"net"
	"syscall"
)

// direct is not known here.
type direct struct{}

func directly(net.Conn) (direct, syscall.RawConn) { return direct{}, nil }

func (direct) send([]byte) (int, error)    { return 0, errors.ErrUnsupported }
func (direct) receive([]byte) (int, error) { return 0, errors.ErrUnsupported }

func again(error) bool { return false }
