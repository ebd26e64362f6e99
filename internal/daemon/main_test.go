package daemon

import (
	"testing"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }
