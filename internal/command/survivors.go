package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// Survivors returns the shells of an opening's start command that outlived the daemon that started it: the processes that
// carry its token in their environment (proc_pid_environ(5)) and lead a session. What a command left in the background
// carries the token too, but is no reason to believe that the command has not returned.
func Survivors(token uint64) []int {
	mark := []byte(OpeningEnv + "=" + strconv.FormatUint(token, 10))
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var pids []int
	for _, dir := range dirs {
		environ, err := os.ReadFile(dir + "/environ")
		if err != nil || !carries(environ, mark) {
			continue
		}
		if s, ok := readStat(dir + "/stat"); ok && s.session == s.pid && s.pid != os.Getpid() {
			pids = append(pids, s.pid)
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
