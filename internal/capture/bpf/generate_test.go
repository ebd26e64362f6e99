package bpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is committed is what the pinned generator and compiler make of the source.
func TestGenerated(t *testing.T) {
	for _, tool := range []string{"clang-14", "llvm-strip-14"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("%v: scripts/test-deps installs it", err)
		}
	}
	dir, err := os.MkdirTemp(".", "_made-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if out, err := exec.CommandContext(t.Context(), "sh", "generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("generate.sh: %v\n%s", err, out)
	}
	for _, name := range []string{"knock_bpfel.o", "knock_bpfeb.o", "knock_bpfel.go", "knock_bpfeb.go"} {
		committed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if made, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(committed, made) {
			t.Errorf("%s is not what its source makes (%v): go generate ./internal/capture/bpf", name, err)
		}
	}
}
