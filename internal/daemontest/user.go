package daemontest

import (
	"os"
	"strings"
)

// InUserNamespace reports whether the tests run in a user namespace, as they do for anybody but root: there is one user there,
// and no eBPF.
func InUserNamespace() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(text))
	return err == nil && (len(fields) != 3 || fields[2] != "4294967295")
}

// Backends are the values of the Capture directive that can be forced here.
func Backends() []string {
	if InUserNamespace() {
		return []string{"classic"}
	}
	return []string{"ebpf", "classic"}
}
