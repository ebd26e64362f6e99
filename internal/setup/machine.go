package setup

import (
	"bufio"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"knockd/internal/packet"
	"knockd/internal/procnet"
)

// sshPort finds the port to hide: that of the ssh session in which init runs, else one that a process named sshd
// listens on, else the first Port of sshd_config(5) and what it usually includes, else 22. (Where systemd listens for
// sshd, it reads the ports from there too.)
func sshPort(o Options) uint16 {
	if fields := strings.Fields(o.SSHConnection); len(fields) == 4 {
		if port, ok := portNumber(fields[3]); ok {
			return port
		}
	}
	if ports := listeningPorts(o.Root, sshdSockets(o.Root)); len(ports) > 0 {
		return slices.Min(ports)
	}
	files, _ := filepath.Glob(filepath.Join(o.Root, "etc/ssh/sshd_config.d/*.conf"))
	for _, file := range append(files, filepath.Join(o.Root, "etc/ssh/sshd_config")) {
		if port, ok := configuredPort(file); ok {
			return port
		}
	}
	return 22
}

func portNumber(word string) (uint16, bool) {
	n, err := strconv.ParseUint(word, 10, 16)
	return uint16(n), err == nil && n != 0
}

// sshdSockets are the inodes of the sockets that processes named sshd hold; only root can see those of others.
func sshdSockets(root string) map[string]bool {
	sockets := map[string]bool{}
	comms, _ := filepath.Glob(filepath.Join(root, "proc/[0-9]*/comm"))
	for _, comm := range comms {
		name, err := os.ReadFile(comm)
		if err != nil || strings.TrimSpace(string(name)) != "sshd" {
			continue
		}
		maps.Copy(sockets, procnet.Held(filepath.Dir(comm)))
	}
	return sockets
}

// listeningPorts are the TCP ports in state LISTEN whose socket is one of inodes.
func listeningPorts(root string, inodes map[string]bool) []uint16 {
	var ports []uint16
	for _, s := range procnet.Sockets(filepath.Join(root, "proc/net")) {
		if s.Port.Proto == packet.TCP && s.State == procnet.Listening && s.Port.Number != 0 && inodes[s.Inode] {
			ports = append(ports, s.Port.Number)
		}
	}
	return ports
}

func configuredPort(path string) (uint16, bool) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(strings.ReplaceAll(lines.Text(), "=", " "))
		if len(fields) >= 2 && strings.EqualFold(fields[0], "port") {
			return portNumber(fields[1])
		}
	}
	return 0, false
}

// avoid are the ports that the sequence must not hold: those in use here, those with a name in /etc/services, the
// neighbours of the hidden port, and those that this machine's own connections are made from: answers to them would
// count as first packets of a knock.
func avoid(o Options, hidden uint16) map[uint16]bool {
	ports := ephemeral(o.Root)
	for _, port := range []uint16{hidden - 1, hidden, hidden + 1} {
		ports[port] = true
	}
	for _, s := range procnet.Sockets(filepath.Join(o.Root, "proc/net")) {
		ports[s.Port.Number] = true
	}
	for _, port := range servicePorts(filepath.Join(o.Root, "etc/services")) {
		ports[port] = true
	}
	for _, port := range o.Taken {
		ports[port.Number] = true
	}
	return ports
}

// ephemeral are the ports of net.ipv4.ip_local_port_range (ip(7)), for IPv6 too; none if it leaves too few others.
func ephemeral(root string) map[uint16]bool {
	const enough = 10000
	ports := map[uint16]bool{}
	text, err := os.ReadFile(filepath.Join(root, "proc/sys/net/ipv4/ip_local_port_range"))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) != 2 {
		return ports
	}
	first, okFirst := portNumber(fields[0])
	last, okLast := portNumber(fields[1])
	if !okFirst || !okLast || first > last || 65536-1024-(int(last)-int(first)+1) < enough {
		return ports
	}
	for port := int(first); port <= int(last); port++ {
		ports[uint16(port)] = true
	}
	return ports
}

func servicePorts(path string) []uint16 {
	text, err := os.ReadFile(path)
	if err != nil {
		return wellKnown()
	}
	var ports []uint16
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		number, _, _ := strings.Cut(fields[1], "/")
		if port, ok := portNumber(number); ok {
			ports = append(ports, port)
		}
	}
	return append(ports, wellKnown()...)
}

// wellKnown are ports above 1023 that scanners and services like, for systems without /etc/services.
func wellKnown() []uint16 {
	return []uint16{
		1080, 1194, 1433, 1521, 1723, 1883, 2049, 2222, 2375, 2376, 3000, 3128, 3306, 3389, 4443, 5000, 5060, 5432,
		5900, 5985, 6379, 6443, 7000, 8000, 8080, 8081, 8443, 8888, 9000, 9090, 9200, 11211, 25565, 27017, 51820, 62201,
	}
}

// host is what to call this machine from elsewhere: the address that the ssh session came to, else a global address of
// its own, else its name.
func host(o Options) string {
	if fields := strings.Fields(o.SSHConnection); len(fields) == 4 {
		return fields[2]
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().IsGlobalUnicast() && !prefix.Addr().IsLoopback() {
				return prefix.Addr().String()
			}
		}
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "HOST"
}
