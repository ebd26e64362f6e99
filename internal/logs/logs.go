// Package logs writes the daemon's lines to the log file, syslog and stdout, each behind a queue of its own: a sink that
// hangs holds up neither the daemon nor the others.
//
// What is said belongs to package daemon; here is how it gets to where people read it.
package logs

import (
	"io"
	"slices"
	"sync"
	"time"
)

// Config says where lines go.
type Config struct {
	// File is the path of the log file, empty for none.
	File string
	// Syslog sends lines to the local syslog too: facility user, level notice, identity knockd.
	Syslog bool
	// Stdout takes each line without its time, nil for none. It stays what New was given.
	Stdout io.Writer
	// Stderr takes what is wrong with the log itself, nil for none. It stays what New was given.
	Stderr io.Writer
	// Now is the local time, time.Now if nil.
	Now func() time.Time
}

// Log is where lines go. Its methods may be called from any goroutine and never block.
type Log struct {
	mu     sync.Mutex
	conf   Config
	file   *sink
	syslog *sink
	stdout *sink
	stderr *sink
	// all are the sinks of any time but stderr, for Close; a sink that a reload took away ends by itself.
	all []*sink
}

// New opens the log file, so that one that can't be opened is an error before anything is done.
func New(c Config) (*Log, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Log{conf: c}
	if c.File != "" {
		target, err := openFile(c.File)
		if err != nil {
			return nil, err
		}
		l.file = l.start("log file "+c.File, target)
	}
	if c.Syslog {
		l.syslog = l.start("syslog", newSyslog())
	}
	if c.Stdout != nil {
		l.stdout = l.start("standard output", newStream(c.Stdout, ""))
	}
	if c.Stderr != nil {
		l.stderr = newSink("standard error", newStream(c.Stderr, "knockd: "), l.trouble)
	}
	return l, nil
}

func (l *Log) start(name string, target target) *sink {
	s := newSink(name, target, l.trouble)
	l.all = append(slices.DeleteFunc(l.all, (*sink).hasEnded), s)
	return s
}

// sinks are where lines go now. The caller holds mu.
func (l *Log) sinks() []*sink { return []*sink{l.file, l.syslog, l.stdout} }

// trouble tells, on the goroutine of a sink, what is wrong with it at the others.
func (l *Log) trouble(from *sink, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range append(l.sinks(), l.stderr) {
		if s != from {
			s.put(entry{text: clean(text), at: l.conf.Now()})
		}
	}
}

// Line writes one line everywhere. Control bytes in it are escaped.
func (l *Log) Line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := entry{text: clean(text), at: l.conf.Now()}
	for _, s := range l.sinks() {
		s.put(e)
	}
}

// Stdout writes one line to stdout alone.
func (l *Log) Stdout(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stdout.put(entry{text: clean(text), at: l.conf.Now()})
}

// Reopen opens the log file anew, as after a rotation: lines from before the call go to the old file, later ones to the
// new.
func (l *Log) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.put(entry{reopen: true})
}

// Configure changes file and syslog as a reload asks. A new file that can't be opened is said where lines still go, and
// is tried again with each line.
func (l *Log) Configure(c Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.File != l.conf.File {
		l.file.end()
		l.file = nil
		if c.File != "" {
			l.file = l.start("log file "+c.File, &file{path: c.File})
		}
	}
	if c.Syslog != l.conf.Syslog {
		l.syslog.end()
		l.syslog = nil
		if c.Syslog {
			l.syslog = l.start("syslog", newSyslog())
		}
	}
	l.conf.File, l.conf.Syslog = c.File, c.Syslog
}

// flushTime bounds how long Close waits for sinks that hang.
const flushTime = 2 * time.Second

// Close writes what is queued and closes the sinks. It waits at most two seconds for those that hang; these keep their
// goroutine until their write returns.
func (l *Log) Close() {
	l.mu.Lock()
	sinks := l.all
	for _, s := range sinks {
		s.end()
	}
	l.file, l.syslog, l.stdout = nil, nil, nil
	l.mu.Unlock()
	deadline := time.NewTimer(flushTime)
	defer deadline.Stop()
	if !await(sinks, deadline) || l.stderr == nil {
		l.stderr.end()
		return
	}
	l.stderr.end() // the last, for what the others had to say
	await([]*sink{l.stderr}, deadline)
}

// await waits until sinks have ended; false if the time was over before.
func await(sinks []*sink, deadline *time.Timer) bool {
	for _, s := range sinks {
		select {
		case <-s.ended:
		case <-deadline.C:
			return false
		}
	}
	return true
}
