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
	"path/filepath"
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

// queueMost bounds the records that wait.
const queueMost = 65536

// Journal is an open journal.
type Journal struct {
	opts  Options
	queue chan request
	// place is where it is written: Dir, Fallback, or empty.
	place place
	locks []*os.File

	// state belongs to the writing goroutine, after Open.
	state state
	// found is what was open when the journal was opened; warnings is what was wrong then.
	found    []Entry
	warnings []string

	mu sync.Mutex
	// trouble is what is wrong now, for status; empty if nothing is.
	trouble string
}

type request struct {
	record record
	done   func(error)
}

// Open reads what is there, and makes the journal ready to be written. It fails only where a person must act: another
// daemon uses the directory, the state is of a newer version, or Strict is set and the directory can't be used.
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
	j := &Journal{opts: o, queue: make(chan request, queueMost)}
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
	main, mainErr := j.readAt(j.opts.Dir)
	if mainErr != nil && (j.opts.Strict || mustAct(mainErr)) {
		return fmt.Errorf("opening the state in %s: %w", j.opts.Dir, mainErr)
	}
	second, err := j.readAt(j.opts.Fallback)
	if mustAct(err) {
		return fmt.Errorf("opening the state in %s: %w", j.opts.Fallback, err)
	}
	// The fallback was begun as a copy of everything: whichever was written last is whole.
	j.state = main
	if second.sequence > main.sequence {
		j.state = second
	}
	j.found = j.state.list()
	if mainErr == nil {
		if mainErr = j.begin(j.opts.Dir); mainErr == nil {
			j.remove(j.opts.Fallback)
			return nil
		}
	}
	if j.opts.Strict && !full(mainErr) {
		return fmt.Errorf("opening the state in %s: %w", j.opts.Dir, mainErr)
	}
	if errors.Is(mainErr, errLocked) {
		// What is there is another's: neither it nor its fallback is ever to be written by us.
		j.opts.Dir, j.opts.Fallback = "", ""
	}
	j.fallBack(mainErr)
	j.warnings = append(j.warnings, j.Trouble())
	return nil
}

// full tells a disk that is full: the directory is the right one, and doors must open.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// mustAct tells errors that no fallback mends.
func mustAct(err error) bool { return errors.Is(err, ErrNewer) }

// Entries are those that were open when the journal was opened, in the order of their IDs.
func (j *Journal) Entries() []Entry { return slices.Clone(j.found) }

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

// Opening records that a door is about to be opened; done is called, on the journal's goroutine, once that is on disk, or
// with ErrUnwritable or ErrBusy. No method blocks.
func (j *Journal) Opening(e Entry, done func(error)) {
	j.put(record{Kind: kindOpening, Entry: &e}, done)
}

// Started records that the start command has returned, and when the door is to be closed.
func (j *Journal) Started(id uint64, closes time.Duration) {
	j.put(record{Kind: kindStarted, ID: id, Closes: closes}, nil)
}

// Closed records that the stop command has returned.
func (j *Journal) Closed(id uint64) { j.put(record{Kind: kindClosed, ID: id}, nil) }

// Flush calls done once everything recorded before it is on disk.
func (j *Journal) Flush(done func(error)) { j.put(record{Kind: kindNothing}, done) }

func (j *Journal) put(r record, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	select {
	case j.queue <- request{r, done}:
	default:
		// Never on the caller's goroutine: it may be the one that the answer goes to.
		go done(ErrBusy)
	}
}

// Run writes until ctx ends, then what waits, and closes the journal.
func (j *Journal) Run(ctx context.Context) error {
	defer j.close()
	for {
		select {
		case r := <-j.queue:
			j.commit(j.gather(r))
		case <-j.retry():
			j.comeBack()
		case <-ctx.Done():
			j.drain()
			return nil
		}
	}
}

func (j *Journal) drain() {
	for {
		select {
		case r := <-j.queue:
			j.commit(j.gather(r))
		default:
			return
		}
	}
}

// gather takes what waits, to be committed together.
func (j *Journal) gather(first request) []request {
	batch := []request{first}
	for len(batch) < 4096 {
		select {
		case r := <-j.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// Close closes a journal that was never run.
func (j *Journal) Close() { j.close() }

func (j *Journal) close() {
	j.place.close()
	j.unlock()
}

func (j *Journal) remove(dir string) {
	if dir != "" {
		_ = os.Remove(filepath.Join(dir, fileName))
	}
}
