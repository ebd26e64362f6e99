package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// Survivors returns the processes that carry an opening's token in their environment (proc(5), /proc/PID/environ): a
// start command that outlived the daemon that started it.
func Survivors(token uint64) []int {
	mark := []byte(OpeningEnv + "=" + strconv.FormatUint(token, 10))
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !carries(environ, mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func carries(environ, mark []byte) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(v, mark) {
			return true
		}
	}
	return false
}
