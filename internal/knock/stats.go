package knock

// Stats says what the engine holds.
type Stats struct {
	// Sources have a knock in flight; Alignments are what they may be the beginning of. Those who have shown one packet
	// only count as one.
	Sources, Alignments int
	// Evicted were dropped for want of room; Counted is the packets that counted.
	Evicted, Counted uint64
	// Bytes is the memory of the tables.
	Bytes int
}

// Stats returns the engine's numbers.
func (e *Engine) Stats() Stats {
	return Stats{
		Sources: e.sources.count + e.strangers.count, Alignments: e.alignments.count + e.strangers.count,
		Evicted: e.evicted, Counted: e.counted,
		Bytes: e.strangers.bytes() + e.sources.bytes() + e.alignments.bytes() + e.deadlines.bytes() + e.index.bytes(),
	}
}
