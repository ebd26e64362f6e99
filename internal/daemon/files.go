package daemon

import "context"

// onFiles does something with files, off the loop; then is called on the loop with its error.
func (d *Daemon) onFiles(run func(context.Context) error, then func(error)) {
	if !d.files.submit(run, then) {
		then(errBusy)
	}
}
