package demo

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKnockd is the demonstration as users see it: the program runs itself.
func TestKnockd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	self := filepath.Join(t.TempDir(), "knockd")
	build := exec.CommandContext(ctx, "go", "build", "-o", self, "knockd/cmd/knockd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "demo")
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%v\n%s%s", err, &out, &complaints)
	}
	told(t, out.String())
}
