package getopt_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestAsGlibc compares random command lines with getopt(1) of util-linux, which calls getopt_long(3). It knows the same
// options.
func TestAsGlibc(t *testing.T) {
	program, err := exec.LookPath("getopt")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	words := strings.Fields("-v -D -vD -i -ieth0 -xi -x -z -vz -4 - -- eth0 a --v --ver --verb --verbose --verbose=1 " +
		"--d --de --interface --interface=e --int= --i=x=y --log --log=l --logf --lo --foo --foo=1 --=x -: -; -- --- -iv-")
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var args []string
		for range random.IntN(5) {
			args = append(args, words[random.IntN(len(words))])
		}
		parsed, failed := show(args)
		wantParsed, wantFailed := glibc(t, program, args)
		// After an error getopt(1) goes on; a program that stops there has seen what came before.
		if failed != wantFailed || failed == "" && parsed != wantParsed || !strings.HasPrefix(wantParsed, parsed) {
			t.Errorf("%q:\nours  %q, %q\nglibc %q, %q", args, parsed, failed, wantParsed, wantFailed)
		}
	}
}

func glibc(t *testing.T, program string, args []string) (parsed, failed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{
		"-n", "knockd", "-o", "i:Dd4vVg:x",
		"-l", "interface:,debug,daemon,only-ip-v4,verbose,version,log:,logfile:", "--",
	}, args...)...)
	cmd.Env = []string{"LC_ALL=C"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its exit status says no more than its standard error
	first, _, _ := strings.Cut(errs.String(), "\n")
	parsed = strings.TrimSuffix(out.String(), "\n")
	for _, o := range known {
		if o.Long != "" && o.Short != 0 {
			parsed = strings.ReplaceAll(parsed, " --"+o.Long+" ", " -"+string(rune(o.Short))+" ")
		}
	}
	return parsed, strings.TrimPrefix(first, "knockd: ")
}
