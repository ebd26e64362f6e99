// Package journal keeps what must survive a crash: what commands opened and when it is to be closed. Grants of native doors
// are not here: the kernel keeps and closes them. Used one-time sequences are marked in their own files.
//
// Intent is on disk before the act. What to do with what a journal says at start belongs to package daemon.
//
// The file is append-only, one readable line a record: a checksum, a blank, and JSON. Once it has grown it is replaced, by
// rename, by a snapshot of what is open. One goroutine writes, and commits whatever waits with a single fsync.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is a door that a start command opened and that is not closed yet.
type Entry struct {
	// ID is unique over all daemons of this state.
	ID uint64 `json:"id"`
	// Boot is the boot in which it was opened: Closes means nothing in another.
	Boot string `json:"boot"`
	Door string `json:"door"`
	IP   string `json:"ip"`
	// Stop is the stop command with %IP% replaced.
	Stop string `json:"stop"`
	// Timeout is the time between the start command's end and the stop command.
	Timeout time.Duration `json:"timeout"`
	// Closes is when it is to be closed, on CLOCK_BOOTTIME.
	Closes time.Duration `json:"closes"`
	// Started is set once the start command has returned.
	Started bool `json:"started,omitempty"`
}

// Options say where a journal is kept.
type Options struct {
	// Dir is the directory; it is made, with mode 0700, if it is absent.
	Dir string
	// Fallback is used while Dir can't be written, empty for none: then what happens is kept in memory.
	Fallback string
	// Strict makes a Dir that can't be used an error of Open; a full disk is none.
	Strict bool
	// Notice is told what an operator should know, once when it begins and once when it is over. It is called on the
	// journal's goroutine, and must not block.
	Notice func(string)
	// Hook is called between the steps of a write, for tests.
	Hook func(step string)
	// Retry is between two attempts to write to Dir again; 5 s if 0.
	Retry time.Duration
}

// ErrNewer refuses the state of a newer version, which this one might not understand.
var ErrNewer = errors.New("the state is of a newer version of knockd: run that version, or move the state away")

// ErrBusy is given to callbacks where too many records wait.
var ErrBusy = errors.New("too many records wait for the disk")

// ErrUnwritable is given to callbacks where a record is on no disk; it is kept in memory.
var ErrUnwritable = errors.New("the state can't be written")

// Journal is an open journal.
type Journal struct {
	opts  Options
	queue queue
	// place is where it is written: Dir, Fallback, or empty.
	place place
	locks map[string]*os.File

	// state belongs to the writing goroutine, after Open.
	state state
	// found is what was open when the journal was opened; warnings is what was wrong then.
	found    []Entry
	last     uint64
	warnings []string

	mu sync.Mutex
	// trouble is what is wrong now, for status; empty if nothing is.
	trouble string
}

// Open reads what is there, and makes the journal ready to be written. It fails only where a person must act: the state is
// of a newer version, or Strict is set and the directory can't be used (another daemon uses it, it is another user's).
func Open(o Options) (*Journal, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.Hook == nil {
		o.Hook = func(string) {}
	}
	if o.Retry == 0 {
		o.Retry = 5 * time.Second
	}
	j := &Journal{opts: o, queue: newQueue(), locks: map[string]*os.File{}}
	notice := j.opts.Notice
	j.opts.Notice = func(string) {} // what is wrong at the start is in Warnings
	if err := j.open(); err != nil {
		j.unlock()
		return nil, err
	}
	j.opts.Notice = notice
	return j, nil
}

func (j *Journal) open() error {
	mainErr, err := j.readBoth()
	if err != nil {
		return err
	}
	j.found, j.last = j.state.list(), j.state.last
	if mainErr == nil {
		if mainErr = j.begin(j.opts.Dir); mainErr == nil {
			j.remove(j.opts.Fallback)
			return nil
		}
	}
	if j.mustAct(mainErr) {
		return fmt.Errorf("opening the state in %s: %w", j.opts.Dir, mainErr)
	}
	j.fallBack(mainErr)
	j.warnings = append(j.warnings, j.Trouble())
	return nil
}

// readBoth makes the state of what is in Dir and Fallback. The first error is why Dir can't be written.
func (j *Journal) readBoth() (mainErr, err error) {
	main, known, mainErr := j.readAt(j.opts.Dir)
	switch {
	case j.mustAct(mainErr):
		return nil, fmt.Errorf("opening the state in %s: %w", j.opts.Dir, mainErr)
	case errors.Is(mainErr, errLocked):
		// What is there is another's: neither it nor its fallback is ever to be read or written by us.
		j.opts.Dir, j.opts.Fallback = "", ""
		j.state = newState()
		return mainErr, nil
	}
	second, _, err := j.readAt(j.opts.Fallback)
	if errors.Is(err, ErrNewer) {
		return nil, fmt.Errorf("opening the state in %s: %w", j.opts.Fallback, err)
	}
	j.state = merge(main, second)
	if !known && j.state.sequence == 0 {
		j.state.apart = newApart()
	}
	return mainErr, nil
}

// mustAct tells errors that no fallback mends.
func (j *Journal) mustAct(err error) bool {
	return errors.Is(err, ErrNewer) || err != nil && j.opts.Strict && !full(err)
}

// full tells a disk that is full: the directory is the right one, and doors must open.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Entries are those that were open when the journal was opened, in the order of their IDs.
func (j *Journal) Entries() []Entry { return slices.Clone(j.found) }

// LastID is the highest ID of all entries that were ever recorded in what Open read, 0 if there was none: later ones are
// new.
func (j *Journal) LastID() uint64 { return j.last }

// Warnings are what was wrong when the journal was opened: damage, a directory that can't be used.
func (j *Journal) Warnings() []string { return slices.Clone(j.warnings) }

// Trouble says what is wrong with the state now, empty if nothing is. Any goroutine may ask.
func (j *Journal) Trouble() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trouble
}

func (j *Journal) setTrouble(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trouble = text
}

// Run writes until ctx ends, then what waits, and closes the journal.
func (j *Journal) Run(ctx context.Context) error {
	defer j.close()
	// retry is the next attempt at the better place, nil while that is in use.
	var retry <-chan time.Time
	for {
		if retry == nil && j.wantsBetter() {
			retry = time.After(j.opts.Retry)
		}
		select {
		case <-j.queue.wake:
			j.commit(j.queue.take())
		case <-retry:
			retry = nil
			j.comeBack()
		case <-ctx.Done():
			j.commit(j.queue.end())
			return nil
		}
	}
}

// Close closes a journal that was never run.
func (j *Journal) Close() { j.close() }

func (j *Journal) close() {
	j.place.close()
	j.unlock()
}
