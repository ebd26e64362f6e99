package demo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hide is nft's part of a stand-in for the daemon: the port is hidden from all but those in a set.
const hide = `nft -f - <<END
table inet t {
	set s { type ipv4_addr; flags timeout; }
	chain c {
		type filter hook prerouting priority mangle
		tcp dport 22 tcp flags & (fin|syn|rst|ack) == syn ip saddr != @s VERDICT
	}
}
END
`

// listen is the rest of it: the reference's knockd, with a command.
const listen = `cat >$0.conf <<END
[ssh]
sequence = 7000,9000,8000
start_command = COMMAND
END
echo "starting up, listening on eth0"
knockd -v -c $0.conf -i eth0 &
trap "kill $!; exit 0" TERM
wait $!
`

// standIn writes a program that takes the daemon's place.
func standIn(t *testing.T, script, verdict, command string) string {
	t.Helper()
	for _, tool := range []string{"nft", "knockd"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			t.Skip(err)
		}
	}
	path := filepath.Join(t.TempDir(), "stand-in")
	script = strings.NewReplacer("VERDICT", verdict, "COMMAND", command).Replace("#!/bin/sh\n" + script)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// closes is the command of a door that does what it should.
const closes = "nft add element inet t s '{ %IP% timeout 4s }'"

// TestPlay plays with the reference and nft in the daemon's place, and with stand-ins that fail, all at once: the
// demonstration believes nobody.
func TestPlay(t *testing.T) {
	t.Parallel()
	const started = "echo 'starting up, listening on eth0'\ntrap 'kill $!; exit 0' TERM\nsleep 60 & wait $!\n"
	plays := map[string]*struct {
		script, verdict, command string
		want                     string // of the error, empty for none

		out  bytes.Buffer
		err  error
		done chan struct{}
	}{
		"it does all":          {script: hide + listen, verdict: "drop", command: closes},
		"the daemon fails":     {script: "echo no way >&2; exit 1", want: "no way"},
		"it never listens":     {script: "exec sleep 60", want: `knockd does not say "starting up`},
		"it hides nothing":     {script: started, want: "yet 10.0.0.2 could connect"},
		"it refuses":           {script: hide + started, verdict: "reject with tcp reset", want: "did not stay silent"},
		"it hears no knock":    {script: hide + started, verdict: "drop", want: `not say "10.0.0.2: ssh: OPEN SESAME`},
		"it lets everybody in": {script: hide + listen, verdict: "drop", command: "nft flush chain inet t c", want: "yet 10.0.0.3 could connect"},
		"it never closes":      {script: hide + listen, verdict: "drop", command: "nft add element inet t s '{ %IP% }'", want: "and is open after 8s"},
		"there is none":        {want: "starting knockd"},
	}
	for _, p := range plays {
		self := "/nonexistent/knockd"
		if p.script != "" {
			self = standIn(t, p.script, p.verdict, p.command)
		}
		p.done = make(chan struct{})
		go func() {
			defer close(p.done)
			p.err = play(t.Context(), &p.out, self, 8*time.Second)
		}()
	}
	for name, p := range plays {
		t.Run(name, func(t *testing.T) {
			<-p.done
			switch {
			case p.want == "" && p.err == nil:
				told(t, p.out.String())
			case p.want == "" || p.err == nil || !strings.Contains(p.err.Error(), p.want):
				t.Errorf("got %v, want an error with %q\n%s", p.err, p.want, &p.out)
			}
		})
	}
}

// told makes sure that the story has its steps in their order.
func told(t *testing.T, story string) {
	t.Helper()
	rest := story
	for _, line := range []string{
		"Without knockd", "greeted: " + banner, "listening on eth0", "no answer", "hitting tcp 10.0.0.1:7000", "Stage 1",
		"OPEN SESAME", "greeted: " + banner, "another", "no answer", "closes it again", "no answer", "still answered",
	} {
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Fatalf("no %q where it should be:\n%s", line, story)
		}
		rest = after
	}
}
