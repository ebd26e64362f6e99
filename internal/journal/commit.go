package journal

import (
	"fmt"
	"time"
)

// grownAt is the size, in bytes, from which on a file is replaced by a snapshot that is at most a quarter of it.
const grownAt = 64 << 10

// commit writes a batch with one fsync, and answers for each.
func (j *Journal) commit(batch []request) {
	var text []byte
	for i := range batch {
		r := &batch[i].record
		if r.Kind == kindNothing {
			continue
		}
		j.state.sequence++
		r.Sequence = j.state.sequence
		j.state.apply(*r)
		line, err := r.encode(nil)
		if err != nil {
			continue // no record has what JSON can't say
		}
		text = append(text, line...)
	}
	err := j.append(text)
	for _, r := range batch {
		r.done(err)
	}
	j.shrink()
}

// append writes lines where they are kept now. Where that fails the whole state is written to the next place.
func (j *Journal) append(text []byte) error {
	if len(text) == 0 {
		return j.unwritten()
	}
	if j.place.file == nil {
		return ErrUnwritable
	}
	err := j.write(text)
	if err == nil {
		return nil
	}
	if j.place.dir == j.opts.Dir {
		j.fallBack(err)
	} else {
		j.place.close()
	}
	return j.unwritten()
}

func (j *Journal) unwritten() error {
	if j.place.file == nil {
		return ErrUnwritable
	}
	return nil
}

func (j *Journal) write(text []byte) error {
	j.opts.Hook("write")
	if _, err := j.place.file.Write(text); err != nil {
		return err
	}
	j.opts.Hook("sync")
	if err := j.place.file.Sync(); err != nil {
		return err
	}
	j.opts.Hook("synced")
	j.state.size += len(text)
	return nil
}

// shrink replaces a file that has grown.
func (j *Journal) shrink() {
	if j.place.file == nil || j.state.size < grownAt {
		return
	}
	if err := j.begin(j.place.dir); err != nil && j.place.dir == j.opts.Dir {
		j.fallBack(err)
	}
	// A state that is that large by itself is left to grow to twice as much.
	j.state.size = min(j.state.size, grownAt/2)
}

// fallBack goes on in the other directory, or in memory.
func (j *Journal) fallBack(why error) {
	j.place.close()
	j.place = place{}
	where := "in memory: a crash loses when doors are to be closed"
	if j.opts.Fallback != "" && j.begin(j.opts.Fallback) == nil {
		where = "in " + j.opts.Fallback + " until the next boot"
	}
	text := fmt.Sprintf("the state can't be kept where it should be: %v; it is kept %s", why, where)
	if j.Trouble() == "" {
		j.opts.Notice("warning: " + text)
	}
	j.setTrouble(text)
}

// retry is the next attempt at the better place, never while that is in use.
func (j *Journal) retry() <-chan time.Time {
	if j.place.dir == j.opts.Dir && j.place.file != nil || j.opts.Dir == "" {
		return nil
	}
	return time.After(j.opts.Retry)
}

// comeBack writes the state to the better place again.
func (j *Journal) comeBack() {
	if !j.holds(j.opts.Dir) && j.lock(j.opts.Dir) != nil {
		return
	}
	if err := j.begin(j.opts.Dir); err != nil {
		return
	}
	j.remove(j.opts.Fallback)
	j.setTrouble("")
	j.opts.Notice("the state is kept in " + j.opts.Dir + " again")
}

// holds reports whether the directory's lock is ours.
func (j *Journal) holds(dir string) bool {
	for _, file := range j.locks {
		if file.Name() == dir+"/"+lockName {
			return true
		}
	}
	return false
}
