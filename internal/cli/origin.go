package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// portRange is what a native door hides, of TCP.
type portRange struct{ first, last uint16 }

// tcpRanges reads the hidden ports as status tells them: tcp/22 or tcp/22-25.
func tcpRanges(hidden []string) []portRange {
	var ranges []portRange
	for _, text := range hidden {
		numbers, ok := strings.CutPrefix(text, "tcp/")
		if !ok {
			continue
		}
		first, last, several := strings.Cut(numbers, "-")
		if !several {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, toErr := strconv.ParseUint(last, 10, 16)
		if err == nil && toErr == nil {
			ranges = append(ranges, portRange{uint16(from), uint16(to)})
		}
	}
	return ranges
}

// cameSince reports, as an error, that a process does not stand behind a connection to one of the ports, opened since a
// moment (since boot). It looks at the process and its ancestors: a server of connections (sshd) has one for each.
func cameSince(pid int, ports []portRange, since time.Duration) error {
	old := false
	for pid > 1 {
		stat, err := readStat(pid)
		if err != nil {
			break
		}
		if connectedTo(pid, ports) {
			if stat.started >= since {
				return nil
			}
			old = true
		}
		pid = stat.parent
	}
	hint := "knock and log in from elsewhere, and run knockd confirm there (not in a tmux or screen of before); " +
		"at the machine's own console: knockd confirm --force"
	if old {
		return &Hinted{Err: errors.New("this session is older than the trial: it says nothing about the new rules"), Hint: hint}
	}
	return &Hinted{Err: errors.New("this session did not come through a door"), Hint: hint}
}

type stat struct {
	parent int
	// started is the process's start since boot, field 22 of /proc/PID/stat in clock ticks of 10 ms (proc(5)).
	started time.Duration
}

// tick is a clock tick as user space sees it: USER_HZ is 100 on every architecture that we build for.
const tick = 10 * time.Millisecond

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in parentheses, and may hold blanks and parentheses of its own.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return stat{}, errors.New("unreadable /proc/PID/stat")
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, err
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	return stat{parent: parent, started: time.Duration(ticks) * tick}, err
}

// connectedTo reports whether a process holds an established TCP connection to one of the local ports.
func connectedTo(pid int, ports []portRange) bool {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return false
	}
	inodes := establishedTo(pid, ports)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "fd", e.Name()))
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && inodes[strings.TrimSuffix(inode, "]")] {
			return true
		}
	}
	return false
}

// establishedTo are the inodes of the connections to the ports, in the process's network namespace.
func establishedTo(pid int, ports []portRange) map[string]bool {
	const inodeField = 9
	inodes := map[string]bool{}
	for _, name := range []string{"tcp", "tcp6"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			port, ok := localPort(lines.Text())
			fields := strings.Fields(lines.Text())
			if ok && len(fields) > inodeField && inRanges(port, ports) {
				inodes[fields[inodeField]] = true
			}
		}
		_ = file.Close()
	}
	return inodes
}

func inRanges(port uint16, ports []portRange) bool {
	for _, r := range ports {
		if r.first <= port && port <= r.last {
			return true
		}
	}
	return false
}

// localPort reads the local port of an established connection from a line of /proc/net/tcp (proc(5)), like
// `0: 0100007F:0016 0100007F:9C40 01 ...`.
func localPort(line string) (uint16, bool) {
	const established = "01"
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[3] != established {
		return 0, false
	}
	_, hex, _ := strings.Cut(fields[1], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	return uint16(port), err == nil
}
