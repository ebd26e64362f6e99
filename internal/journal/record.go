package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"time"
)

// kind is what a record says.
type kind string

const (
	kindHeader  kind = "journal"
	kindOpening kind = "opening"
	kindStarted kind = "started"
	kindClosed  kind = "closed"
	// kindNothing is written nowhere: it waits for what is before it.
	kindNothing kind = ""
)

// version is that of the file's format.
const version = 1

// record is one line.
type record struct {
	Kind kind `json:"kind"`
	// Sequence numbers the records of a state, over its snapshots.
	Sequence uint64        `json:"seq"`
	Version  int           `json:"version,omitempty"`
	ID       uint64        `json:"id,omitempty"`
	Closes   time.Duration `json:"closes,omitempty"`
	Entry    *Entry        `json:"entry,omitempty"`
	// Quoted is set where the entry's strings are written as in Go: JSON has no way to say bytes that are no UTF-8, and a
	// stop command is to be run as it was.
	Quoted bool `json:"quoted,omitempty"`
	// Last, Apart and Took are a header's: see state.
	Last  uint64 `json:"last,omitempty"`
	Apart string `json:"apart,omitempty"`
	Took  string `json:"took,omitempty"`
}

// errDamaged is a line that is not as it was written.
var errDamaged = errors.New("damaged record")

const sumLength = 8

// The checksum is CRC-32C (RFC 3720, appendix B.4): it tells every change of up to four bytes in a row.
func checksum(text []byte) string {
	sum := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
	return hex.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// encode appends a record's line.
func (r record) encode(to []byte) []byte {
	if r.Entry != nil && !r.Entry.isText() {
		r.Entry, r.Quoted = r.Entry.quote(), true
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // commands are full of < and &
	if err := encoder.Encode(r); err != nil {
		panic(err) // numbers, booleans and strings can always be written
	}
	line := bytes.TrimSuffix(text.Bytes(), []byte{'\n'})
	to = append(append(to, checksum(line)...), ' ')
	return append(append(to, line...), '\n')
}

// decode reads a line without its end.
func decode(line []byte) (record, error) {
	var r record
	if len(line) <= sumLength || line[sumLength] != ' ' || string(line[:sumLength]) != checksum(line[sumLength+1:]) {
		return r, errDamaged
	}
	if err := json.Unmarshal(line[sumLength+1:], &r); err != nil {
		return r, errDamaged
	}
	if r.Quoted && r.Entry != nil && r.Entry.unquote() != nil {
		return r, errDamaged
	}
	r.Quoted = false
	if r.Kind == kindHeader && r.Version > version {
		return r, ErrNewer
	}
	return r, nil
}

// decodeAll applies the whole records of a file to a state. A last line without its end is a write that a crash cut
// short, and counts if nothing but the end is missing; anything else that can't be read is damage, and ends the reading.
func decodeAll(text []byte) (state, error) {
	s := newState()
	for first := true; len(text) > 0; first = false {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		text = rest
		r, err := decode(line)
		if err == nil && first && r.Kind != kindHeader {
			err = errDamaged
		}
		if errors.Is(err, errDamaged) && !whole {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		s.apply(r)
	}
	return s, nil
}
