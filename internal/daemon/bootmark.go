package daemon

import (
	"os"
	"path/filepath"
	"strings"
)

// bootID is the kernel's name of this boot (proc_sys_kernel(5), random/boot_id); empty where it can't be read.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// runDir is where what does not outlive a boot is kept.
func (d *Daemon) runDir() string { return "/run/knockd" }

// firstStartOfBoot reports whether no daemon ran since this boot, and marks that one has: grants in the kernel are then
// not ours, but a ruleset's that was saved and loaded again.
func firstStartOfBoot(dir string) bool {
	id, path := bootID(), filepath.Join(dir, "boot")
	if was, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(was)) == id {
		return false
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return true
	}
	// Unwritten, the next start drops grants too: closed rather than open.
	_ = os.WriteFile(path, []byte(id+"\n"), 0o644)
	return true
}
