package capture

import (
	"testing"

	"knockd/internal/config"
)

func TestClassic(t *testing.T) { testBackend(t, config.CaptureClassic) }
