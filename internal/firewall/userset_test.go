package firewall_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"knockd/internal/config"
	"knockd/internal/firewall"
)

func setDoor(admit4 int) firewall.Door {
	return firewall.Door{
		Name: "ssh", Admit4: admit4, Admit6: 128, MaxOpen: 3,
		Set4: &config.SetRef{Family: "inet", Table: "filter", Set: "in4"},
		Set6: &config.SetRef{Family: "ip6", Table: "other", Set: "in6"},
	}
}

// userFilter is a ruleset of the user's that only its sets open.
const userFilter = "add table inet filter; add set inet filter in4 { type ipv4_addr; flags timeout, interval; }; " +
	"add chain inet filter input { type filter hook input priority 0; policy drop; }; " +
	"add rule inet filter input ct state established accept; add rule inet filter input ip saddr @in4 accept; " +
	"add table ip6 other; add set ip6 other in6 { type ipv6_addr; flags timeout; }"

func TestUserSet(t *testing.T) {
	for _, admit := range []int{32, 24} {
		l := newLab(t)
		l.serve(22)
		l.nft(userFilter)
		k := l.kernel()
		r := rules(setDoor(admit))
		if wrong := k.Check(t.Context(), r); len(wrong) > 0 {
			t.Fatal(wrong)
		}
		must(t, k.Install(t.Context(), r, nil))
		if present, err := k.Present(t.Context()); err != nil || present {
			t.Fatalf("a door with sets alone makes a table (%v)", err)
		}
		l.hidden(l.Client4, 22)
		must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Minute))
		must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
		must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Minute))
		must(t, k.Grant(t.Context(), "ssh", l.Client6, time.Hour))
		l.opened(l.Client4, 22)
		grants := list(t, k)
		if len(grants) != 2 || grants[0].Left < 30*time.Minute || grants[0].Prefix.Bits() != admit {
			t.Fatalf("granted are %v", grants)
		}
		l.nft("flush", "set", "inet", "filter", "in4")
		must(t, k.Install(t.Context(), r, grants))
		l.opened(l.Client4, 22)
		must(t, k.Revoke(t.Context(), "ssh", l.Client4))
		must(t, k.Revoke(t.Context(), "ssh", l.Client4))
		l.hidden(l.Client4, 22)
	}
}

func TestUserSetIsBounded(t *testing.T) {
	l := newLab(t)
	l.nft(userFilter)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(setDoor(32)), nil))
	for i := range 3 {
		must(t, k.Grant(t.Context(), "ssh", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), time.Minute))
	}
	mustFail(t, k.Grant(t.Context(), "ssh", netip.AddrFrom4([4]byte{10, 0, 0, 9}), time.Minute), firewall.ErrFull)
}

// What the user put there stays as it is.
func TestUserSetKeepsTheUsersElements(t *testing.T) {
	l := newLab(t)
	l.nft(userFilter + "; add element inet filter in4 { 10.0.0.0/24 }; add element ip6 other in6 { fd00::2 }")
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(setDoor(32)), nil))
	for _, ip := range []netip.Addr{l.Client4, l.Client6} {
		must(t, k.Grant(t.Context(), "ssh", ip, time.Minute))
		must(t, k.Revoke(t.Context(), "ssh", ip))
	}
	listed := l.nft("list", "ruleset")
	if !strings.Contains(listed, "elements = { 10.0.0.0/24 }") || !strings.Contains(listed, "elements = { fd00::2 }") {
		t.Fatalf("the sets are now\n%s", listed)
	}
}

func TestUserSetIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ ruleset, want string }{
		"no table": {
			"add table inet other",
			"the set inet filter in4 does not exist: there is no such table: nft add table inet filter && " +
				"nft add set inet filter in4 '{ type ipv4_addr; flags timeout,interval; }'",
		},
		"no set": {
			"add table inet filter",
			"the set inet filter in4 does not exist: nft add set inet filter in4 '{ type ipv4_addr; flags timeout,interval; }'",
		},
		"type": {
			"add table inet filter; add set inet filter in4 { type inet_service; flags timeout; }",
			"the set inet filter in4 is not of the type ipv4_addr: nft delete set inet filter in4 && nft add set inet filter in4 " +
				"'{ type ipv4_addr; flags timeout,interval; }'",
		},
		"no timeout": {
			"add table inet filter; add set inet filter in4 { type ipv4_addr; flags interval; }",
			"the set inet filter in4 lacks the flag timeout: nft delete set",
		},
		"no interval": {
			"add table inet filter; add set inet filter in4 { type ipv4_addr; flags timeout; }",
			"the set inet filter in4 lacks the flag interval, which Admit = /24 needs: nft delete set",
		},
		"map": {
			"add table inet filter; add map inet filter in4 { type ipv4_addr : verdict; flags timeout; }",
			"the set inet filter in4 is a map",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.nft(c.ruleset)
			k, door := l.kernel(), setDoor(24)
			door.Set6 = nil
			wrong := k.Check(t.Context(), rules(door))
			if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "ssh: "+c.want) {
				t.Fatalf("got  %v\nwant %s", wrong, c.want)
			}
			must(t, k.Install(t.Context(), rules(door), nil))
			err := k.Grant(t.Context(), "ssh", l.Client4, time.Minute)
			if e, ok := errors.AsType[*firewall.SetError](err); !ok || e.Set != *door.Set4 {
				t.Errorf("a grant gives %v", err)
			}
		})
	}
}

// A set of the user's that somebody makes anew has lost its grants: that is a loss too.
func TestUserSetMadeAnewIsALoss(t *testing.T) {
	l := newLab(t)
	l.nft(userFilter)
	k := l.kernel()
	losses := l.watch(k)
	must(t, k.Install(t.Context(), rules(setDoor(32)), nil))
	l.nft("flush ruleset; " + userFilter)
	if loss := l.lost(losses); loss.What != "the set inet filter in4" && loss.What != "the set ip6 other in6" {
		t.Errorf("lost is %+v", loss)
	}
}
