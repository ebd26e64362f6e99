package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
func (r record) encode(to []byte) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return to, fmt.Errorf("writing a record: %w", err)
	}
	to = append(append(to, checksum(text)...), ' ')
	return append(append(to, text...), '\n'), nil
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
	if r.Kind == kindHeader && r.Version > version {
		return r, ErrNewer
	}
	return r, nil
}

// decodeAll applies the whole records of a file to a state. A last line without its end is a write that a crash cut
// short; anything else that can't be read is damage, and ends the reading.
func decodeAll(text []byte) (state, error) {
	s := newState()
	first := true
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return s, nil
		}
		text = rest
		r, err := decode(line)
		if err == nil && first && r.Kind != kindHeader {
			err = errDamaged
		}
		if err != nil {
			return s, err
		}
		first = false
		s.apply(r)
	}
	return s, nil
}
