package packet

import "testing"

func TestFlagsString(t *testing.T) {
	for flags, want := range map[Flags]string{0: "none", SYN: "syn", SYN | ACK: "syn,ack", FIN | PSH | URG: "fin,psh,urg"} {
		if got := flags.String(); got != want {
			t.Errorf("%d: %q, want %q", flags, got, want)
		}
	}
}
