package firewall_test

import (
	"testing"
	"time"
)

func TestHiddenFromConnectUntilGranted(t *testing.T) {
	l := newLab(t)
	l.serve(22)
	l.opened(l.Client4, 22)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(ssh(22)), nil))
	t.Log(l.nft("list", "table", "inet", "knockd"))
	l.hidden(l.Client4, 22)
	l.hidden(l.Client6, 22)
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Minute))
	l.opened(l.Client4, 22)
	l.hidden(l.Client6, 22)
	must(t, k.Grant(t.Context(), "ssh", l.Client6, time.Minute))
	l.opened(l.Client6, 22)
	must(t, k.Revoke(t.Context(), "ssh", l.Client4))
	l.hidden(l.Client4, 22)
	must(t, k.Remove(t.Context()))
	l.opened(l.Client4, 22)
}
