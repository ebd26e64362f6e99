package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"knockd/internal/config"
	"knockd/internal/firewall"
)

// lastGoodName is the copy of the configuration that loaded last, beside the state.
const lastGoodName = "last-good.conf"

// lastGoodPointer, in runtimeDir, names the copy: a configuration that can't be read can't say where its state is.
const lastGoodPointer = "last-good"

// keepLastGood keeps a copy of what is in force, for a start with a file that does not load.
func (d *Daemon) keepLastGood() {
	options := &d.conf.conf.Options
	if d.trial != nil || d.lastGood != nil || options.State == config.StateNone || len(d.conf.rules().Doors) == 0 {
		return
	}
	dir, text := options.State, d.conf.text
	d.onFiles(func(context.Context) error {
		path := filepath.Join(dir, lastGoodName)
		if have, err := readPrivate(path); err == nil && string(have) == string(text) {
			return pointTo(path)
		}
		if err := writePrivate(dir, lastGoodName, text); err != nil {
			return err
		}
		return pointTo(path)
	}, func(err error) {
		if err != nil {
			d.say.linef("warning: no copy of this configuration is kept: %v", err)
		}
	})
}

func pointTo(path string) error {
	return writePrivate(runtimeDir, lastGoodPointer, []byte(path+"\n"))
}

// loadLastGood loads the copy of the configuration, if ports are hidden by an earlier run: with no daemon nobody could
// get in. why is what is wrong with the file itself; where there is no way out it is returned.
func loadLastGood(why error) (*loaded, error) {
	if !hidesNow() {
		return nil, why
	}
	path, text, err := readLastGood()
	if err != nil {
		return nil, &HintedError{
			Err:  fmt.Errorf("%w (and ports are hidden, but there is no copy of the last good configuration: %w)", why, err),
			Hint: "knockd unhide shows the ports",
		}
	}
	l, err := loadText(path, text)
	if err != nil {
		return nil, errors.Join(why, err)
	}
	return l, nil
}

// readLastGood reads the copy of the configuration.
func readLastGood() (path string, text []byte, err error) {
	path = filepath.Join(config.DefaultState, lastGoodName)
	if pointer, err := readPrivate(filepath.Join(runtimeDir, lastGoodPointer)); err == nil {
		path = strings.TrimSpace(string(pointer))
	}
	text, err = readPrivate(path)
	return path, text, err
}

// ControlOfLastGood is the control socket that the last good configuration names: the daemon's, while its file can't be
// read. It is empty where there is no such copy, or none that the caller may read.
func ControlOfLastGood() string {
	path, text, err := readLastGood()
	if err != nil {
		return ""
	}
	conf, err := config.Parse(path, text)
	if err != nil {
		return ""
	}
	return conf.Options.Control
}

// hidesNow reports whether our table is in the kernel.
func hidesNow() bool {
	fw, err := firewall.NewKernel()
	if err != nil {
		return false
	}
	defer func() { _ = fw.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	present, err := fw.Present(ctx)
	return err == nil && present
}

// remindEvery is between two lines that say the configuration in force is not the file's.
const remindEvery = 10 * time.Minute

// remind says, again and again, that the last good configuration runs.
func (d *Daemon) remind() {
	if d.lastGood == nil {
		return
	}
	for _, line := range errorLines(d.lastGood) {
		d.say.line(line)
	}
	d.say.linef("warning: running with the last good configuration, not with %s: mend the file, then knockd reload", d.settings.ConfigPath)
	d.agenda.at(d.clock.Now()+remindEvery, func(time.Duration) { d.remind() })
}

// readAll reads a file of bounded size.
func readAll(file *os.File) ([]byte, error) {
	const most = 16 << 20
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && len(text) > most {
		return nil, fmt.Errorf("%s is too long", file.Name())
	}
	return text, err
}
