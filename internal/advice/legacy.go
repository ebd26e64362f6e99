package advice

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legacyFamily is what differs between ip_tables.h and ip6_tables.h.
type legacyFamily struct {
	family         byte
	domain, level  int
	names, program string
	// Where the parts of struct ipt_entry and ip6t_entry begin: the interface's name and mask, the outgoing one's mask, the
	// protocol, the flags, the target's offset, the matches.
	address                                                       int
	iif, iifMask, oifMask, proto, flags, inverse, target, matches int
}

func legacyFamilies() []legacyFamily {
	return []legacyFamily{
		{
			family: ipv4, domain: unix.AF_INET, level: unix.SOL_IP, names: "/proc/thread-self/net/ip_tables_names", program: "iptables",
			address: 4, iif: 16, iifMask: 48, oifMask: 64, proto: 80, flags: 82, inverse: 83, target: 88, matches: 112,
		},
		{
			family: ipv6, domain: unix.AF_INET6, level: unix.SOL_IPV6, names: "/proc/thread-self/net/ip6_tables_names", program: "ip6tables",
			address: 16, iif: 64, iifMask: 96, oifMask: 112, proto: 128, flags: 131, inverse: 132, target: 140, matches: 168,
		},
	}
}

// readLegacy returns the base chains of iptables-legacy. Only tables that are in use are looked at: to ask for another would
// make the kernel load it.
func readLegacy() (guards []guard, untracked bool, err error) {
	for _, f := range legacyFamilies() {
		names, err := os.ReadFile(f.names)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		for _, name := range strings.Fields(string(names)) {
			t, err := f.read(name)
			if err != nil {
				return nil, false, err
			}
			guards = append(guards, t.guards()...)
			untracked = untracked || t.uses("CT") || t.uses("NOTRACK")
		}
	}
	return guards, untracked, nil
}

// legacyTable is a table as the kernel hands it out.
type legacyTable struct {
	legacyFamily
	name string
	// hooks are where the chains begin, policies where their last rules are, for those that valid has a bit of.
	valid           uint32
	hooks, policies [5]uint32
	entries         []byte
}

// The options of getsockopt in ip_tables.h, the same in ip6_tables.h, and the sizes of struct ipt_getinfo and of struct
// ipt_get_entries without its entries.
const (
	optInfo, optEntries = 64, 65
	infoSize            = 84
	entriesHeader       = 40
	nameSize            = 32
)

// read asks for a table. It may change between the two questions: then the kernel says EAGAIN.
func (f legacyFamily) read(name string) (*legacyTable, error) {
	fd, err := unix.Socket(f.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	for range 10 {
		var t *legacyTable
		if t, err = f.ask(fd, name); !errors.Is(err, unix.EAGAIN) {
			return t, err
		}
	}
	return nil, err
}

func (f legacyFamily) ask(fd int, name string) (*legacyTable, error) {
	info := make([]byte, infoSize)
	copy(info[:nameSize-1], name)
	if err := getsockopt(fd, f.level, optInfo, info); err != nil {
		return nil, err
	}
	t := &legacyTable{legacyFamily: f, name: name, valid: word(info, 32)}
	for i := range t.hooks {
		t.hooks[i], t.policies[i] = word(info, 36+4*i), word(info, 56+4*i)
	}
	size := word(info, 80)
	all := make([]byte, entriesHeader+int(size))
	copy(all[:nameSize-1], name)
	binary.NativeEndian.PutUint32(all[nameSize:], size)
	if err := getsockopt(fd, f.level, optEntries, all); err != nil {
		return nil, err
	}
	t.entries = all[entriesHeader:]
	return t, nil
}

func word(b []byte, at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }

// getsockopt is the system call: the library has none that both gives and takes.
func getsockopt(fd, level, option int, data []byte) error {
	size := uint32(len(data))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&data[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}

// uses reports whether a rule has a target.
func (t *legacyTable) uses(target string) bool {
	for at := 0; ; {
		e, ok := t.entry(at)
		if !ok {
			return false
		}
		if e.targetName() == target {
			return true
		}
		at = e.next
	}
}

// names are the user's chains by where they begin: behind a rule whose target is ERROR and has the name.
func (t *legacyTable) names() map[int]string {
	names := map[int]string{}
	for at := 0; ; {
		e, ok := t.entry(at)
		if !ok {
			return names
		}
		if e.targetName() == "ERROR" {
			name, _, _ := bytes.Cut(e.targetData(), []byte{0})
			names[e.next] = string(name)
		}
		at = e.next
	}
}
