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

// firstStartOfBoot reports whether no daemon hid anything since this boot: grants in the kernel are then not ours, but a
// ruleset's that was saved and loaded again.
func firstStartOfBoot(dir string) bool {
	was, err := os.ReadFile(bootMark(dir))
	return err != nil || strings.TrimSpace(string(was)) != bootID()
}

// markBoot notes that a daemon hid something in this boot. It is for after the grants that are not ours are gone. Unwritten,
// the next start drops grants too: closed rather than open.
func markBoot(dir string) {
	if err := os.MkdirAll(dir, 0o755); err == nil {
		_ = os.WriteFile(bootMark(dir), []byte(bootID()+"\n"), 0o644)
	}
}

func bootMark(dir string) string { return filepath.Join(dir, "boot") }
