package journal

import "fmt"

// grownAt is the size, in bytes, from which on a file is replaced by a snapshot of what is open. Where that alone takes
// more than half of it, the file may grow to twice the snapshot, so that a burst of openings costs few of them.
const grownAt = 64 << 10

// commit writes a batch with one fsync, and answers for each.
func (j *Journal) commit(batch []request) {
	if len(batch) == 0 {
		return
	}
	err := j.append(j.apply(batch))
	for _, r := range batch {
		if r.refused {
			r.done(ErrBusy)
			continue
		}
		r.done(err)
	}
	j.shrink()
}

// apply takes a batch into the state, and returns its lines.
func (j *Journal) apply(batch []request) []byte {
	var text []byte
	for i := range batch {
		r := batch[i].record
		if r.Kind == kindNothing {
			continue
		}
		j.state.sequence++
		r.Sequence = j.state.sequence
		j.state.apply(r)
		text = r.encode(text)
	}
	return text
}

// append writes lines where they are kept now. Where that fails the whole state is written to the next place.
func (j *Journal) append(text []byte) error {
	if j.place.file != nil && len(text) > 0 {
		if err := j.write(text); err != nil {
			j.fallBack(err)
		}
	}
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
	j.place.size += len(text)
	return nil
}

// shrink replaces a file that has grown.
func (j *Journal) shrink() {
	if j.place.file == nil || j.place.size < j.place.limit {
		return
	}
	if err := j.begin(j.place.dir); err != nil {
		j.fallBack(err)
	}
}

// fallBack leaves the place that can't be written: for the other directory, or for memory.
func (j *Journal) fallBack(why error) {
	from := j.place.dir
	j.place.close()
	where := "in memory: a crash loses when doors are to be closed"
	if from != j.opts.Fallback || from == "" {
		if j.use(j.opts.Fallback) == nil {
			where = "in " + j.opts.Fallback + " until the next boot"
		}
	}
	text := fmt.Sprintf("the state can't be kept where it should be: %v; it is kept %s", why, where)
	if j.Trouble() == "" {
		j.opts.Notice("warning: " + text)
	}
	j.setTrouble(text)
}

// wantsBetter reports whether there is a better place than the one in use.
func (j *Journal) wantsBetter() bool {
	return j.opts.Dir != "" && (j.place.file == nil || j.place.dir != j.opts.Dir)
}

// comeBack writes the state to the better place again.
func (j *Journal) comeBack() {
	err := j.use(j.opts.Dir)
	switch {
	case err == nil:
		j.remove(j.opts.Fallback)
		j.setTrouble("")
		j.opts.Notice("the state is kept in " + j.opts.Dir + " again")
	case j.place.file == nil:
		j.fallBack(err) // the second best may be had by now
	}
}
