package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readOnly makes a directory what a disk is that the kernel has given up: there, and read-only.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	err := unix.Mount(dir, dir, "", unix.MS_BIND, "")
	if err == nil {
		err = unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func writable(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
}

// begun is a directory with the openings 1 and 2 on record.
func begun(t *testing.T) (Options, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	o := Options{Dir: dir, Fallback: filepath.Join(t.TempDir(), "run"), Retry: time.Hour}
	l := run(t, o)
	for id := range uint64(2) {
		if err := l.opening(id + 1); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	return o, dir
}

func TestAReadOnlyDiskIsRead(t *testing.T) {
	o, dir := begun(t)
	readOnly(t, dir)
	j := reopened(t, o)
	if got := ids(j.Entries()); got != "1 2" {
		t.Errorf("found %q", got)
	}
	if len(j.Warnings()) != 1 || !strings.Contains(j.Warnings()[0], "read-only") {
		t.Errorf("warnings %q", j.Warnings())
	}
	j.Close()
	o.Strict = true
	if _, err := Open(o); !errors.Is(err, unix.EROFS) {
		t.Errorf("where the directory is named: %v", err)
	}
}

// TestAStateBegunApart has a time in which the directory can't even be read: what was open before and what is opened then
// are both found afterwards, and a second time not again.
func TestAStateBegunApart(t *testing.T) {
	o, dir := begun(t)
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o707) // others could have written it: it is not read
	apart, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(apart.Entries()); got != "" {
		t.Errorf("found %q", got)
	}
	e := entry(1)
	e.Door = "another"
	apart.Opening(e, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	apart.commit(apart.queue.take())
	chmod(0o700)
	apart.comeBack() // the journal there is to be left alone
	apart.Close()

	kept := read(t, filepath.Join(o.Fallback, fileName))
	second := reopened(t, o)
	doors := map[string]int{}
	for _, e := range second.Entries() {
		doors[e.Door]++
	}
	if got := ids(second.Entries()); got != "1 2 3" || doors["another"] != 1 || second.LastID() != 3 {
		t.Errorf("found %q at %v, last %d", got, doors, second.LastID())
	}
	second.Close()
	write(t, filepath.Join(o.Fallback, fileName), kept) // as after a crash before it was removed
	if got := ids(reopened(t, o).Entries()); got != "1 2 3" {
		t.Errorf("found %q", got)
	}
}

// TestBackWithTheFallbackAlone fills the fallback too, and lets it be used again first.
func TestBackWithTheFallbackAlone(t *testing.T) {
	o := Options{Dir: "/proc/nowhere", Fallback: filepath.Join(t.TempDir(), "run"), Retry: time.Millisecond}
	if err := os.Mkdir(o.Fallback, 0o702); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.Fallback, 0o702); err != nil {
		t.Fatal(err)
	}
	l := run(t, o)
	if err := l.opening(1); !errors.Is(err, ErrUnwritable) {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(o.Fallback, 0o700); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); l.flush() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it stays in memory")
		}
	}
	l.stop()
	if got := ids(reopened(t, o).Entries()); got != "1" {
		t.Errorf("found %q", got)
	}
}

// TestTrafficDoesNotPutOffTheWayBack records without a pause that is as long as Retry.
func TestTrafficDoesNotPutOffTheWayBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "no", "state")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := run(t, Options{Dir: dir, Retry: 50 * time.Millisecond})
	if err := l.flush(); !errors.Is(err, ErrUnwritable) {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); l.flush() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("it stays in memory")
		}
	}
}

// TestTooManyWait answers what it refuses on its own goroutine: who asks may be the one that takes the answer.
func TestTooManyWait(t *testing.T) {
	j, err := Open(Options{Dir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, queueMost+10)
	for id := range uint64(queueMost + 10) {
		j.Opening(Entry{ID: id + 1}, func(err error) { answers <- err })
	}
	if len(answers) > 0 {
		t.Error("answered by who asked")
	}
	j.Closed(1)
	j.commit(j.queue.end())
	close(answers)
	busy := 0
	for err := range answers {
		if errors.Is(err, ErrBusy) {
			busy++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, open := j.state.open[1]; busy != 10 || open || len(j.state.open) != queueMost-1 {
		t.Errorf("%d refused, %d open", busy, len(j.state.open))
	}
	j.Close()
}

// TestABurstWritesFewSnapshots bounds what 10,000 openings write.
func TestABurstWritesFewSnapshots(t *testing.T) {
	snapshots := 0
	o := Options{Dir: filepath.Join(t.TempDir(), "state")}
	o.Hook = func(step string) {
		if step == "snapshot" {
			snapshots++
		}
	}
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); id <= 10000; id++ {
		j.Opening(entry(id), nil)
		if id%20 == 0 {
			j.commit(j.queue.take())
		}
	}
	j.Close()
	if snapshots > 10 {
		t.Errorf("%d snapshots", snapshots)
	}
	if found := reopened(t, o).Entries(); len(found) != 10000 {
		t.Errorf("%d found", len(found))
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "state")}
	l := run(t, o)
	e := entry(1)
	e.Stop = "rm '/srv/T\xfcr' && echo \"\x00<>\""
	if err := l.wait(func(done func(error)) { l.Opening(e, done) }); err != nil {
		t.Fatal(err)
	}
	l.stop()
	if found := reopened(t, o).Entries(); !reflect.DeepEqual(found, []Entry{e}) {
		t.Errorf("%+v", found)
	}
}

func TestALineCanBeRead(t *testing.T) {
	e := entry(1)
	e.Stop = "iptables -D INPUT -s 10.0.0.1 -j ACCEPT && echo closed > /run/x"
	if text := (record{Kind: kindOpening, Entry: &e}).encode(nil); !bytes.Contains(text, []byte(e.Stop)) {
		t.Errorf("%s", text)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(uint64(1), "ssh", "10.0.0.2", "iptables -D 'x' \n \xff", int64(5), true)
	f.Fuzz(func(t *testing.T, id uint64, door, ip, stop string, closes int64, started bool) {
		e := Entry{ID: id, Boot: "b", Door: door, IP: ip, Stop: stop, Closes: time.Duration(closes), Started: started}
		want := record{Kind: kindOpening, Sequence: id, Entry: &e}
		line := want.encode(nil)
		if bytes.Count(line, []byte{'\n'}) != 1 {
			t.Fatalf("%q is not one line", line)
		}
		got, err := decode(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
}

// TestADaemonThatDiedOnItsWay leaves the beginning of a snapshot.
func TestADaemonThatDiedOnItsWay(t *testing.T) {
	o, dir := begun(t)
	write(t, filepath.Join(dir, newName), []byte("00000000 {"))
	if got := ids(reopened(t, o).Entries()); got != "1 2" {
		t.Errorf("found %q", got)
	}
	names, err := os.ReadDir(dir)
	if err != nil || fmt.Sprint(names) != "[- journal - lock]" {
		t.Errorf("left: %v, %v", names, err)
	}
}
