package setup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// tree writes the files of a machine below a new root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:08AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0
`

func TestSSHPort(t *testing.T) {
	machine := map[string]string{
		"proc/net/tcp":        tcpTable,
		"proc/77/comm":        "sshd\n",
		"proc/77/fd/3":        "-> socket:[4242]",
		"proc/78/comm":        "nginx\n",
		"proc/78/fd/3":        "-> socket:[4243]",
		"etc/ssh/sshd_config": "# Port 23\nport=2200\n",
	}
	without := func(names ...string) map[string]string {
		rest := map[string]string{}
		for name, text := range machine {
			if !slices.Contains(names, name) {
				rest[name] = text
			}
		}
		return rest
	}
	for name, c := range map[string]struct {
		files      map[string]string
		connection string
		want       uint16
	}{
		"the session's own":  {machine, "198.51.100.7 50000 192.0.2.1 2022", 2022},
		"what sshd listens":  {machine, "", 0x8AE},
		"what it would":      {without("proc/net/tcp"), "", 2200},
		"a file of its own":  {map[string]string{"etc/ssh/sshd_config.d/port.conf": "Port 2022\n"}, "", 2022},
		"nothing is known":   {nil, "", 22},
		"a nonsense session": {nil, "a b c d", 22},
	} {
		t.Run(name, func(t *testing.T) {
			got := sshPort(Options{Root: tree(t, c.files), SSHConnection: c.connection})
			if got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestWriteMakesAConfigurationThatLoads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "knockd.conf")
	root := tree(t, map[string]string{"proc/net/tcp": tcpTable})
	r, err := Write(Options{Path: path, Root: root, Random: rand.Reader, SSHConnection: "198.51.100.7 50000 192.0.2.1 22"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != 0o600 {
		t.Errorf("the file's mode is %v", mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := config.Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	door := conf.Doors[0]
	if len(conf.Warnings) > 0 || len(door.Sequence) != length || !slices.Equal(door.Open, []config.PortRange{{Proto: packet.TCP, First: 22, Last: 22}}) {
		t.Errorf("warnings %v, door %+v", conf.Warnings, door)
	}
	if want := "knock -d 100 192.0.2.1 " + join(r.Sequence, " "); r.KnockLine() != want {
		t.Errorf("the line to keep is %q, want %q", r.KnockLine(), want)
	}
	var out bytes.Buffer
	if err := r.NextSteps(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"knockd try 5m", "ssh 192.0.2.1", "knockd confirm", r.KnockLine()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the next steps don't say %q:\n%s", want, out.String())
		}
	}
}

func TestWriteLeavesAFileAlone(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"a file":        func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"a broken link": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "knockd.conf")
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Write(Options{Path: path, Root: t.TempDir(), Random: rand.Reader}); !errors.Is(err, ErrExists) {
				t.Errorf("got %v, want ErrExists", err)
			}
		})
	}
}

func TestDraw(t *testing.T) {
	// Avoiding all but a few ports makes every rule bite.
	avoid := map[uint16]bool{}
	for port := 1024; port <= 65535; port++ {
		n, err := rand.Int(rand.Reader, big.NewInt(1000))
		if err != nil {
			t.Fatal(err)
		}
		avoid[uint16(port)] = n.Int64() > 5
	}
	for range 200 {
		sequence, err := draw(rand.Reader, avoid)
		if err != nil {
			t.Fatal(err)
		}
		if len(sequence) != length || ordered(sequence) {
			t.Fatalf("drew %v", sequence)
		}
		for i, port := range sequence {
			if port < 1024 || avoid[port] || !apart(sequence[:i], port) {
				t.Fatalf("drew %v", sequence)
			}
		}
	}
}

func TestAvoid(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/net/tcp":                          tcpTable,
		"etc/services":                          "# rare 4444/tcp\nrare\t4321/udp # a service\n",
		"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
	})
	ports := avoid(Options{Root: root, Taken: []packet.Port{{Number: 1234}}}, 22)
	for _, port := range []uint16{21, 22, 23, 0x8AE, 0x1F90, 4321, 1234, 32768, 60999, 7000} {
		if !ports[port] {
			t.Errorf("port %d is not avoided", port)
		}
	}
	for _, port := range []uint16{4444, 32767, 61000, 1024} {
		if ports[port] {
			t.Errorf("port %d is avoided", port)
		}
	}
}

func TestAvoidLeavesEnough(t *testing.T) {
	for _, text := range []string{"1024 65535", "60999 1", "a b", "", "1 2 3", "0 70000"} {
		root := tree(t, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": text})
		if n := len(ephemeral(root)); n > 0 {
			t.Errorf("with %q %d ports are avoided", text, n)
		}
	}
}

func TestDrawReportsABrokenSource(t *testing.T) {
	if _, err := draw(bytes.NewReader([]byte{1}), nil); err == nil {
		t.Error("a source that ends gives no error")
	}
}
