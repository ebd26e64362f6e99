// Package durable makes sure that what was done to a directory survives a crash.
package durable

import (
	"errors"
	"os"
)

// SyncDir waits until a directory's entries are on disk: a file that was made or renamed in it is otherwise not sure to be
// there after a crash (fsync(2)).
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
