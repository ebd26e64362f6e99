package native

import (
	"strings"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
)

// TestExtension: a knock makes a grant longer and never shorter.
func TestExtension(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.verb("open", "ssh", "10.0.0.2", "30s")
	s.granted(d)
	if left := s.left("10.0.0.2"); left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("%v left after a knock", left)
	}
	s.verb("open", "ssh", "10.0.0.2", "1h")
	s.granted(d)
	if left := s.left("10.0.0.2"); left < 59*time.Minute {
		t.Errorf("%v left after a knock within an hour's grant", left)
	}
	d.Kill()
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.granted(d)
	if left := s.left("10.0.0.2"); left < 58*time.Minute || left > time.Hour {
		t.Errorf("%v left after a restart and a knock", left)
	}
	s.verb("close", "ssh", "10.0.0.2")
	s.want(22, false)
}

// TestPortsOfADoorChange: a grant never moves to other ports, and goes with its door's name.
func TestPortsOfADoorChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	s.write(strings.Replace(ssh, "tcp/22", "tcp/22-23", 1))
	s.verb("reload")
	s.want(22, true)
	s.want(23, false)
	s.write(strings.Replace(ssh, "tcp/22", "tcp/23", 1))
	s.verb("reload")
	s.want(22, true) // shown to all
	s.want(23, false)
	s.write(ssh)
	s.verb("reload")
	s.want(22, false)
	s.want(23, true)
	s.granted(d)
	s.write(strings.Replace(ssh, "[ssh]", "[renamed]", 1))
	s.verb("reload")
	s.want(22, false)
	s.write(ssh + strings.Replace(strings.Replace(ssh, "[ssh]", "[second]", 1), "7000,9000", "7100,9100", 1))
	s.verb("reload")
	s.verb("open", "second", "10.0.0.2")
	s.want(22, true) // by either of two doors for one port
	s.verb("close", "ssh", "10.0.0.2")
	s.want(22, true)
	s.verb("close", "second", "10.0.0.2")
	s.want(22, false)
}

// TestSetsOfTheUsers: of both families, with intervals; the time left survives restarts, and what is not ours is left
// alone.
func TestSetsOfTheUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.nft(`table inet filter {
		set four { type ipv4_addr; flags interval, timeout; auto-merge; elements = { 192.0.2.0/24 }; };
		set six { type ipv6_addr; flags timeout; };
		chain input { type filter hook input priority 0; ct state established accept; ip saddr @four accept; ip6 saddr @six accept; tcp dport 22 drop; };
	}`)
	const door = "[ssh]\n\tSequence = 7000,9000,8000\n\tNft_Set = inet filter four\n\tNft_Set_6 = inet filter six\n\tAdmit = /24\n\tOpen_For = 10m\n"
	d := s.start(door)
	if out := s.verb("check"); !strings.Contains(out, "good, 1 door, native") {
		t.Errorf("%s", out)
	}
	s.want(22, false)
	s.knock()
	d.Wait("10.0.0.2: ssh: set inet filter four,set inet filter six open for 10m0s")
	s.want(22, true)
	s.verb("open", "ssh", "fd00::2", "1h")
	granted := time.Now()
	d.Kill()
	s.want(22, true)
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.keeps("10.0.0.0/24", granted, 10*time.Minute)
	s.keeps("fd00::2", granted, time.Hour)
	s.verb("close", "ssh", "10.0.0.2")
	s.want(22, false)
	if text := s.nft("list", "set", "inet", "filter", "four"); !strings.Contains(text, "192.0.2.0/24") {
		t.Errorf("an element of the user's is gone:\n%s", text)
	}
	if status := d.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	netlabtest.Run(t, s.Server, "nft", "flush", "ruleset")
	if out := s.refused("check"); strings.Count(out, "does not exist") < 2 {
		t.Errorf("%s", out)
	}
}
