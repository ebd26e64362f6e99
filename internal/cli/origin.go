package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"knockd/internal/daemon"
	"knockd/internal/packet"
	"knockd/internal/procnet"
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
		return &daemon.HintedError{Err: errors.New("this session is older than the trial: it says nothing about the new rules"), Hint: hint}
	}
	return &daemon.HintedError{Err: errors.New("this session did not come through a door"), Hint: hint}
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
	process := filepath.Join("/proc", strconv.Itoa(pid))
	held := procnet.Held(process)
	return slices.ContainsFunc(procnet.Sockets(filepath.Join(process, "net")), func(s procnet.Socket) bool {
		return s.Port.Proto == packet.TCP && s.State == procnet.Established && held[s.Inode] && inRanges(s.Port.Number, ports)
	})
}

func inRanges(port uint16, ports []portRange) bool {
	for _, r := range ports {
		if r.first <= port && port <= r.last {
			return true
		}
	}
	return false
}
