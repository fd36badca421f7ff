package self

import (
	"os"
	"runtime"
	"strings"
)

// A Machine describes what a run was made on, so that numbers of two runs can
// be told apart by it. It has no secrets. What is unknown is empty.
type Machine struct {
	Host        string  `json:"host,omitempty"`
	OS          string  `json:"os"`
	Arch        string  `json:"arch"`
	Kernel      string  `json:"kernel,omitempty"`
	Go          string  `json:"go"`
	CPUModel    string  `json:"cpu_model,omitempty"`
	Cores       int     `json:"cores"`                // that this process may run on
	GOMAXPROCS  int     `json:"gomaxprocs"`           // goroutines that run at once
	QuotaCores  Reading `json:"quota_cores,omitzero"` // cores' worth of time that its cgroup may use; absent: all
	Cgroup      int     `json:"cgroup,omitempty"`     // version; absent: none
	MemoryBytes Reading `json:"memory_bytes,omitzero"`
	FilesLimit  Reading `json:"files_limit,omitzero"`       // file descriptors at once
	PortsLimit  Reading `json:"local_ports_limit,omitzero"` // local ports for one remote address and port
}

// Describe returns the machine that we run on.
func Describe() Machine { return describe(thisSystem()) }

func describe(s system) Machine {
	m := Machine{
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Go:         runtime.Version(),
		Cores:      runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		Kernel:     strings.TrimSpace(s.text("proc/sys/kernel/osrelease")),
		CPUModel:   cpuModel(s.text("proc/cpuinfo")),
		Cgroup:     s.cgroup().version,
		QuotaCores: s.quotaCores(),
		FilesLimit: s.nofile(),
	}
	if host, err := os.Hostname(); err == nil {
		m.Host = host
	}
	if kib, ok := parseKeyed(s.text("proc/meminfo"), "MemTotal:"); ok {
		m.MemoryBytes = Measured(float64(kib) * 1024)
	}
	if low, high, ok := parsePortRange(s.text("proc/sys/net/ipv4/ip_local_port_range")); ok {
		m.PortsLimit = Measured(float64(high - low + 1))
	}
	return m
}

// shareCores is how many cores we may keep busy.
func (m Machine) shareCores() float64 {
	cores := float64(min(m.Cores, m.GOMAXPROCS))
	if m.QuotaCores.Measured {
		cores = min(cores, m.QuotaCores.Value)
	}
	return cores
}
