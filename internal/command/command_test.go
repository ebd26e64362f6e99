package command

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(processOneEnv) != "" {
		os.Exit(processOne())
	}
	os.Exit(netlabtest.Leaks(m))
}

const patience = 30 * time.Second

// lab is a runner that a test drives.
type lab struct {
	*Runner
	t *testing.T
}

func start(t *testing.T, max int) *lab {
	t.Helper()
	r := NewRunner(max)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; r.children.Wait() })
	return &lab{r, t}
}

func job(source int, event, line string) Job {
	ip := netip.AddrFrom4([4]byte{10, 0, byte(source >> 8), byte(source)})
	return Job{Key: Key{Door: "ssh", Source: ip}, Event: event, Line: line}
}

func (l *lab) submit(j Job) {
	l.t.Helper()
	if err := l.Submit(j); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) outcome() Outcome {
	l.t.Helper()
	select {
	case out := <-l.Outcomes():
		return out
	case <-time.After(patience):
		l.t.Fatal("no command ended")
		return Outcome{}
	}
}

func (l *lab) run(line string) Outcome {
	l.t.Helper()
	l.submit(job(1, EventStart, line))
	return l.outcome()
}

func TestExpand(t *testing.T) {
	for _, test := range []struct{ line, ip, want string }{
		{"a %IP% b %IP%", "10.0.0.2", "a 10.0.0.2 b 10.0.0.2"},
		{"%IP%", "fe80::1%eth0", "fe80::1"},
		{"%IP%", "::ffff:10.0.0.2", "10.0.0.2"},
		{"%ip% %%IP%%", "2001:db8::1", "%ip% %2001:db8::1%"},
		{"", "10.0.0.2", ""},
	} {
		got, err := Expand(test.line, netip.MustParseAddr(test.ip))
		if err != nil || got != test.want {
			t.Errorf("%q, %v, want %q", got, err, test.want)
		}
	}
	ip := netip.MustParseAddr("10.0.0.2")
	if _, err := Expand(strings.Repeat("x", MaxLine-8)+"%IP%", ip); err != nil {
		t.Errorf("a line of %d bytes: %v", MaxLine, err)
	}
	if _, err := Expand(strings.Repeat("x", MaxLine-7)+"%IP%", ip); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line of %d bytes: %v", MaxLine+1, err)
	}
}

func TestStatusAndOutput(t *testing.T) {
	l := start(t, 4)
	for _, test := range []struct {
		name, line string
		status     int
		output     string
	}{
		{"success", "true", 0, ""},
		{"failure", "exit 7", 7, ""},
		{"output", "echo out; echo err >&2; exit 1", 1, `out\nerr`},
		{"a signal", "kill -TERM $$", 128 + 15, ""},
		{"no such program", "/no/such/program 2>/dev/null", 127, ""},
		{"control bytes", `printf 'a\033[31mb\001\377'`, 0, `a\x1b[31mb\x01\xff`},
		{"text that is not ASCII", `printf 'öffnen'`, 0, "öffnen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := l.run(test.line)
			if out.Err != nil || out.Status != test.status || out.Output != test.output {
				t.Errorf("status %d, output %q, error %v", out.Status, out.Output, out.Err)
			}
		})
	}
}

func TestEnvironmentAndSession(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	l := start(t, 1)
	j := job(2, EventStop, `test -z "$NOTIFY_SOCKET" || exit 1; echo $KNOCKD_DOOR $KNOCKD_IP $KNOCKD_EVENT $KNOCKD_OPENING; test -t 0 || ps -o sid= -p $$; echo $$`)
	j.Token = 77
	l.submit(j)
	fields := strings.Fields(strings.ReplaceAll(l.outcome().Output, `\n`, " "))
	if len(fields) != 6 || strings.Join(fields[:4], " ") != "ssh 10.0.0.2 stop 77" {
		t.Fatalf("%q", fields)
	}
	if fields[4] != fields[5] {
		t.Errorf("session %s of process %s", fields[4], fields[5])
	}
}

func TestOutputIsBounded(t *testing.T) {
	l := start(t, 1)
	out := l.run("echo first; yes | head -c 100000000; echo; echo last")
	if out.Status != 0 || len(out.Output) > MaxOutput || !strings.HasPrefix(out.Output, "first") || !strings.HasSuffix(out.Output, "last") {
		t.Errorf("status %d, %d bytes: %.20q ... ", out.Status, len(out.Output), out.Output)
	}
}

// TestABackgroundProcessMayPrint shows that one that prints more than a pipe holds neither hangs nor dies.
func TestABackgroundProcessMayPrint(t *testing.T) {
	l := start(t, 1)
	done := filepath.Join(t.TempDir(), "done")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := l.run(fmt.Sprintf("(cat %s; yes | head -c 300000; echo $? > %s) & :", fifo, done)); out.Status != 0 {
		t.Fatalf("%+v", out)
	}
	release(t, fifo)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(done); err == nil && len(text) > 0 {
			if string(text) != "0\n" {
				t.Errorf("status %s", text)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it did not end")
		}
	}
}

func TestABackgroundProcessHoldsNobodyUp(t *testing.T) {
	l := start(t, 1)
	out := l.run("sleep 600 & echo $!")
	pid, err := strconv.Atoi(out.Output)
	if err != nil {
		t.Fatalf("output %q", out.Output)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the background process is gone: %v", err)
	}
	if out := l.run("echo next"); out.Output != "next" {
		t.Errorf("%q", out.Output)
	}
}

func TestOneKeyInOrder(t *testing.T) {
	l := start(t, 8)
	path := filepath.Join(t.TempDir(), "order")
	const jobs = 30
	for i := range jobs {
		l.submit(job(1, EventStart, fmt.Sprintf("echo %d >> %s", i, path)))
	}
	for range jobs {
		l.outcome()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Fields(string(text)) {
		if line != strconv.Itoa(i) {
			t.Fatalf("line %d is %s", i, line)
		}
	}
}

func TestAHungCommandHoldsUpNoOther(t *testing.T) {
	l := start(t, 2)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	hung := job(1, EventStart, "cat "+fifo)
	l.submit(hung)
	other := job(2, EventStart, "echo other")
	l.submit(other)
	if out := l.outcome(); out.Output != "other" {
		t.Errorf("%q", out.Output)
	}
	release(t, fifo)
	l.outcome()
}

// release lets a `cat FIFO` end.
func release(t *testing.T, fifo string) {
	t.Helper()
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
}

func TestStopCommandsDoNotWaitForHungOnes(t *testing.T) {
	l := start(t, 1)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l.submit(job(1, EventStart, "cat "+fifo))
	l.submit(job(2, EventStart, "echo start"))
	l.submit(job(3, EventStop, "echo stop"))
	if out := l.outcome(); out.Output != "stop" {
		t.Errorf("%q", out.Output)
	}
	release(t, fifo)
	l.outcome()
	l.outcome()
}

// TestABurst runs the commands of 10,000 knocks, or fewer where time is short: never more at once than allowed, none lost.
func TestABurst(t *testing.T) {
	jobs := 10000
	if testing.Short() {
		jobs = 500
	}
	const most = 16
	l := start(t, most)
	for i := range jobs {
		l.submit(job(i, EventStart, ":"))
	}
	for range jobs {
		if running, _ := l.Running(); running > most {
			t.Fatalf("%d commands run at once", running)
		}
		if out := l.outcome(); out.Status != 0 || out.Err != nil {
			t.Fatalf("status %d, %v", out.Status, out.Err)
		}
	}
	if running, waiting := l.Running(); running+waiting != 0 {
		t.Errorf("%d run and %d wait at the end", running, waiting)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	r := NewRunner(0)
	for range queueMost {
		if err := r.Submit(job(1, EventStart, ":")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Submit(job(1, EventStart, ":")); !errors.Is(err, ErrQueueFull) {
		t.Errorf("error %v", err)
	}
}

func TestSurvivors(t *testing.T) {
	l := start(t, 1)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	j := job(1, EventStart, "cat "+fifo)
	j.Token = 987654321
	l.submit(j)
	for deadline := time.Now().Add(patience); len(Survivors(j.Token)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the running command is not found")
		}
	}
	release(t, fifo)
	l.outcome()
	if pids := Survivors(j.Token); len(pids) > 0 {
		t.Errorf("found %v after the end", pids)
	}
}

// TestWhatIsLeftInTheBackgroundIsNoSurvivor: else a door with a server behind it would stay open for as long as that runs.
func TestWhatIsLeftInTheBackgroundIsNoSurvivor(t *testing.T) {
	l := start(t, 1)
	j := job(1, EventStart, "sleep 600 & echo $!")
	j.Token = 987654322
	l.submit(j)
	pid, err := strconv.Atoi(l.outcome().Output)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if pids := Survivors(j.Token); len(pids) > 0 {
		t.Errorf("found %v", pids)
	}
}

// TestACommandOutlivesTheRunner shows that one in the foreground may go on printing once nobody is there to read it.
func TestACommandOutlivesTheRunner(t *testing.T) {
	dir := t.TempDir()
	fifo, done := filepath.Join(dir, "fifo"), filepath.Join(dir, "done")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r := NewRunner(1)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); _ = r.Run(ctx) }()
	line := fmt.Sprintf("echo $$ > %[1]s; cat %[1]s; yes | head -c 300000; echo $? > %[2]s.new; mv %[2]s.new %[2]s", fifo, done)
	if err := r.Submit(job(1, EventStart, line)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(fifo); err != nil { // it runs
		t.Fatal(err)
	}
	cancel()
	<-over
	release(t, fifo)
	r.children.Wait()
	if text, err := os.ReadFile(done); err != nil || string(text) != "0\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestEndWithoutWaiting(t *testing.T) {
	r := NewRunner(1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Submit(job(1, EventStart, "cat "+fifo)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Run waits for a command")
	}
	if err := r.Submit(job(2, EventStart, ":")); err == nil {
		t.Error("a job was taken after the end")
	}
	release(t, fifo)
	r.children.Wait()
}
