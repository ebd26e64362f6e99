package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFirstStartOfBoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	for _, want := range []bool{true, true} { // a start that failed is none
		if firstStartOfBoot(dir) != want {
			t.Error("not the first start, before any")
		}
	}
	markBoot(dir)
	if firstStartOfBoot(dir) {
		t.Error("the first start, behind one")
	}
	if err := os.WriteFile(filepath.Join(dir, "boot"), []byte("another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !firstStartOfBoot(dir) {
		t.Error("not the first start of this boot")
	}
}
