// Package daemon runs the whole daemon as its users start it: by hand, in the background, by a service manager, with few
// rights.
package daemon

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"knockd/internal/daemontest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

func TestScripts(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata"}) }
