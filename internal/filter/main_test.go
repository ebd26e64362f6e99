package filter

import (
	"os"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }
