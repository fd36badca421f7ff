//go:build !unix

package invoke

import "net"

// still has no way to look here.
func still(net.Conn) bool { return true }
