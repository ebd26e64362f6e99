package firewall_test

import (
	"testing"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }
