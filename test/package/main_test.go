package packages

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// labEnv names the directory with the Debian root and the packages, for the process in namespaces of its own.
const labEnv = "KNOCKD_PACKAGE_LAB"

func TestMain(m *testing.M) {
	flag.Parse()
	// No code of ours runs in this process: the race detector and its short run have nothing to find.
	if testing.Short() {
		fmt.Println("SKIP: these tests run installed programs; they are not part of a short run")
		os.Exit(0)
	}
	if netlab.Inside() {
		os.Exit(netlabtest.Tests{M: m}.Run())
	}
	os.Exit(outside(m))
}

// outside prepares what needs the network, which the namespaces of the tests do not have.
func outside(m *testing.M) int {
	if err := needRoot(); err != nil {
		return refuse(err)
	}
	dir, err := os.MkdirTemp("", "knockd-packages-")
	if err != nil {
		return refuse(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := prepare(dir); err != nil {
		fmt.Println("FAIL:", err)
		return 1
	}
	if err := os.Setenv(labEnv, dir); err != nil {
		return refuse(err)
	}
	return netlabtest.Tests{M: m}.Run()
}

// notRootError is why these tests do not run for just anybody.
type notRootError struct{}

func (notRootError) Error() string {
	return "a Debian of their own for these tests can be made by root alone"
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return notRootError{}
	}
	return nil
}

func refuse(err error) int {
	var no notRootError
	if errors.As(err, &no) && os.Getenv("CI") != "true" {
		fmt.Println("SKIP:", err)
		return 0
	}
	fmt.Println("FAIL:", err)
	return 1
}

// lab returns a path in the laboratory's directory.
func lab(name string) string { return filepath.Join(os.Getenv(labEnv), name) }
