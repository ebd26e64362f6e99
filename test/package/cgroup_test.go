package packages

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// removeGroups removes the empty control groups that a killed systemd-nspawn leaves in ours, payload and supervisor. The
// last processes take a moment to leave them.
func removeGroups() {
	for range 50 {
		if tryRemoveGroups() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func tryRemoveGroups() (gone bool) {
	gone = true
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		// cgroups(7): number:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, hierarchy := range []string{"", "unified", strings.TrimPrefix(parts[1], "name=")} {
			for _, group := range []string{"payload", "supervisor"} {
				root := filepath.Join("/sys/fs/cgroup", hierarchy, parts[2], group)
				removeTree(root)
				if _, err := os.Stat(root); err == nil {
					gone = false
				}
			}
		}
	}
	return gone
}

// removeTree removes a directory of empty directories; what is not empty stays.
func removeTree(root string) {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, dir := range dirs {
		_ = os.Remove(dir) // in a control group, files don't count
	}
}
