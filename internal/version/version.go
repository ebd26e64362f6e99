// Package version holds the version of the programs, and nothing else.
package version

// Version is what -V prints. A release sets it when linking: -ldflags "-X knockd/internal/version.Version=1.2.3".
var Version = "1.0.0-dev"
