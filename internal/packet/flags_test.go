package packet_test

import (
	"testing"

	"knockd/internal/packet"
)

func TestFlagMatch(t *testing.T) {
	for _, test := range []struct {
		name  string
		match packet.FlagMatch
		flags packet.Flags
		want  bool
	}{
		{"anything", packet.FlagMatch{}, packet.FIN | packet.URG, true},
		{"syn set", packet.FlagMatch{Set: packet.SYN}, packet.SYN | packet.ACK, true},
		{"syn missing", packet.FlagMatch{Set: packet.SYN}, packet.ACK, false},
		{"ack clear", packet.FlagMatch{Set: packet.SYN, Clear: packet.ACK}, packet.SYN | packet.ACK, false},
		{"both", packet.FlagMatch{Set: packet.SYN, Clear: packet.ACK}, packet.SYN | packet.PSH, true},
		{"contradiction", packet.FlagMatch{Set: packet.SYN, Clear: packet.SYN}, packet.SYN, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.match.Admits(test.flags); got != test.want {
				t.Errorf("Admits = %v", got)
			}
			if got := test.match.Bitmap()>>test.flags&1 == 1; got != test.want {
				t.Errorf("Bitmap says %v", got)
			}
		})
	}
}

func TestOpensConnection(t *testing.T) {
	opens := map[packet.Flags]bool{
		packet.SYN: true, packet.SYN | packet.PSH: true, packet.SYN | packet.URG: true,
		packet.SYN | packet.ACK: false, packet.SYN | packet.FIN: false, packet.SYN | packet.RST: false,
		0: false, packet.ACK: false,
	}
	for f, want := range opens {
		if f.OpensConnection() != want {
			t.Errorf("%06b: %v", f, !want)
		}
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]string{
		"7000:tcp":  packet.Port{Proto: packet.TCP, Number: 7000}.String(),
		"0:udp":     packet.Port{Proto: packet.UDP}.String(),
		"65535:udp": packet.Port{Proto: packet.UDP, Number: 65535}.String(),
		"proto-132": packet.Proto(132).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
