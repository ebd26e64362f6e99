// Package netlabtest is what tests need to run in a laboratory of package netlab: a TestMain that re-executes the test
// program in namespaces of its own, namespaces that end with their test, and the check for leaks.
package netlabtest

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"knockd/internal/netlab"
)

// Main is for TestMain: it runs the package's tests in network and mount namespaces of their own, as root or (in a user
// namespace as well) as anybody, with /run private, and fails them if they leak goroutines or file descriptors. It
// does not return. Where namespaces are denied it says why and passes, and with CI=true fails.
func Main(m *testing.M) { os.Exit(Tests{M: m}.Run()) }

// Tests is what Main runs, for a TestMain that has more to do: testscript.Main(netlabtest.Tests{M: m}, commands).
type Tests struct{ M *testing.M }

// Run does what Main does and returns the exit code.
func (t Tests) Run() int {
	if !netlab.Inside() {
		code, err := netlab.Reexec(os.Args[1:], nil)
		if err != nil {
			return refuse(err)
		}
		return code
	}
	// A fuzz worker is started by a process that has been here already; so are commands that a test re-executes.
	if !entered() {
		if err := netlab.Enter(); err != nil {
			return refuse(err)
		}
		if err := os.Setenv(enteredEnv, "yes"); err != nil {
			return refuse(err)
		}
	}
	return Leaks(t.M)
}

const enteredEnv = "NETLAB_ENTERED"

func entered() bool { return os.Getenv(enteredEnv) != "" }

// refuse ends the tests of a package that cannot have its laboratory.
func refuse(err error) int {
	var no *netlab.Unsupported
	if errors.As(err, &no) && os.Getenv("CI") != "true" {
		fmt.Println("SKIP:", err)
		return 0
	}
	fmt.Println("FAIL:", err)
	return 1
}
