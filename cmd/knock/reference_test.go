package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"knockd/internal/client"
)

// reference is the client of Debian's knockd package.
const reference = "/usr/bin/knock"

func needReference(t *testing.T) {
	t.Helper()
	_, err := os.Stat(reference)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// TestAsReference runs the reference's knock and ours with the same arguments: the lines of -v and the exit codes are
// the same.
func TestAsReference(t *testing.T) {
	needReference(t)
	for _, args := range []string{
		"-v 127.0.0.1 7000",
		"-v 127.0.0.1 7000:udp 8000:TCP 9000",
		"-v -u 127.0.0.1 7000:tcp 7001",
		"127.0.0.1 7000 -vu 8000",
		"-v -d 2 127.0.0.1 7000 7001",
		"-vd1 127.0.0.1 7000 7001",
		"--verb --del=1 --ipv4 127.0.0.1 7000",
		"-v -4 localhost 7000",
		"-v ::1 7000",
		"-v6 ::1 7000",
		"-v -6 127.0.0.1 7000",
		"-v -4 ::1 7000",
		"-v -d -5 127.0.0.1 7000",
		"-v 127.0.0.1 0x10",
		"-v no.such.host.invalid 7000",
		"-v -- 127.0.0.1 7000",
	} {
		t.Run(args, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			want, wantCode := run(t, exec.CommandContext(ctx, reference, strings.Fields(args)...))
			var got bytes.Buffer
			code := client.Main(ctx, strings.Fields(args), "", &got, io.Discard)
			if got.String() != want || code != wantCode {
				t.Errorf("ours: code %d, %q\nreference: code %d, %q", code, &got, wantCode, want)
			}
		})
	}
}

// TestCodesAsReference compares only exit codes, where the text is our own.
func TestCodesAsReference(t *testing.T) {
	needReference(t)
	for _, args := range []string{"", "-h", "-V", "-Vh", "-hV", "127.0.0.1", "--foo 127.0.0.1 7000", "-d", "-V --foo"} {
		t.Run(args, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, want := run(t, exec.CommandContext(ctx, reference, strings.Fields(args)...))
			if code := client.Main(ctx, strings.Fields(args), "", io.Discard, io.Discard); code != want {
				t.Errorf("our code is %d, the reference's %d", code, want)
			}
		})
	}
}

// TestAbbreviationsAsReference gives every beginning of the reference's long options to both: our own options make none
// ambiguous that was not.
func TestAbbreviationsAsReference(t *testing.T) {
	needReference(t)
	for _, name := range []string{"udp", "delay", "ipv4", "ipv6", "verbose", "version", "help"} {
		for n := range len(name) {
			option := "--" + name[:n+1]
			if name == "delay" {
				option += "=0"
			}
			t.Run(option, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				args := []string{option, "-v", "127.0.0.1", "7000"}
				hits, wantCode := run(t, exec.CommandContext(ctx, reference, args...))
				var got bytes.Buffer
				code := client.Main(ctx, args, "", &got, io.Discard)
				if code != wantCode || strings.HasPrefix(hits, "hitting") && got.String() != hits {
					t.Errorf("ours: code %d, %q\nreference: code %d, %q", code, &got, wantCode, hits)
				}
			})
		}
	}
}

func run(t *testing.T, cmd *exec.Cmd) (stdout string, code int) {
	t.Helper()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
