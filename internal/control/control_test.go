package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

// serve runs a server whose daemon answers as told, and returns its path.
func serve(t *testing.T, answer func(Request) Reply) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "control.sock")
	s, warning, err := Listen(path, "")
	if err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	loop := make(chan struct{})
	go func() {
		defer close(loop)
		for {
			select {
			case call := <-s.Calls():
				call.Answer <- answer(call.Request)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		<-loop
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return path
}

func TestAsk(t *testing.T) {
	path := serve(t, func(r Request) Reply {
		if r.UID != uint32(os.Geteuid()) || r.PID != int32(os.Getpid()) {
			t.Errorf("the caller is told as %d, process %d", r.UID, r.PID)
		}
		var args DoorArgs
		if err := json.Unmarshal(r.Args, &args); err != nil || r.Verb != VerbOpen {
			return Reply{Error: "no", Hint: "try " + r.Verb}
		}
		raw, _ := json.Marshal(Done{Message: args.Door + " for " + args.For.String()})
		return Reply{Result: raw}
	})
	var done Done
	if err := Ask(path, VerbOpen, DoorArgs{Door: "ssh", For: time.Hour}, &done); err != nil || done.Message != "ssh for 1h0m0s" {
		t.Errorf("%v, %+v", err, done)
	}
	err := Ask(path, VerbReload, nil, nil)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Message != "no" || refused.Hint != "try reload" {
		t.Errorf("%v", err)
	}
}

// TestWho holds the caller's identity to the kernel's word: what the line says of it is not read.
func TestWho(t *testing.T) {
	path := serve(t, func(r Request) Reply {
		if r.UID == 4242 || r.PID == 1 {
			return Reply{Error: "believed"}
		}
		return Reply{}
	})
	if got := raw(t, path, `{"version":1,"verb":"x","UID":4242,"PID":1}`+"\n"); strings.Contains(got, "believed") {
		t.Error(got)
	}
}

// raw sends bytes and returns the line that comes back.
func raw(t *testing.T, path, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte(text)); err != nil {
		return err.Error()
	}
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}

func TestBadRequests(t *testing.T) {
	path := serve(t, func(Request) Reply { return Reply{Error: "asked"} })
	for name, test := range map[string]struct{ text, want string }{
		"another version": {`{"version":7,"verb":"status"}` + "\n", "speaks version 1"},
		"no JSON":         {"status\n", "reading the request"},
		"too long":        {strings.Repeat("x", maxRequest+1) + "\n", "reading the request"},
	} {
		if got := raw(t, path, test.text); !strings.Contains(got, test.want) || strings.Contains(got, "asked") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run", "control.sock")
	s, _, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, _, err := Listen(path, ""); err == nil || !strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("a second one: %v", err)
	}
	_ = s.listener.Close() // as a crash leaves it
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	again, warning, err := Listen(path, "no such group")
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	_ = again.listener.Close()
	if warning == nil || !strings.Contains(warning.Error(), "root alone") {
		t.Errorf("a group that is none: %v", warning)
	}
	netlabtest.Check(t, os.Chmod(filepath.Dir(path), 0o777))
	if _, _, err := Listen(path, ""); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("a directory of everybody: %v", err)
	}
	file := filepath.Join(dir, "file")
	netlabtest.Check(t, os.WriteFile(file, []byte("mine"), 0o600))
	if _, _, err := Listen(file, ""); err == nil {
		t.Error("a file in the way was taken")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("it was touched: %q, %v", text, err)
	}
}

func TestNoDaemon(t *testing.T) {
	if err := Ask(filepath.Join(t.TempDir(), "none"), VerbStatus, nil, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("%v", err)
	}
}
