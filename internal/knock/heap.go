package knock

// The heap of deadlines is container/heap's, but an alignment knows its place in it.

func (e *Engine) diesBefore(i, j uint32) bool {
	return e.deadline(e.alignments.at(i)) < e.deadline(e.alignments.at(j))
}

func (e *Engine) setHeap(place int, i uint32) {
	e.deadlines.heap[place] = i
	e.alignments.at(i).before = uint32(place)
}

func (e *Engine) pushHeap(i uint32) {
	e.alignments.at(i).inHeap = true
	e.deadlines.heap = append(e.deadlines.heap, i)
	e.siftUp(len(e.deadlines.heap) - 1)
}

func (e *Engine) siftUp(place int) {
	i := e.deadlines.heap[place]
	for place > 0 {
		parent := (place - 1) / 2
		if !e.diesBefore(i, e.deadlines.heap[parent]) {
			break
		}
		e.setHeap(place, e.deadlines.heap[parent])
		place = parent
	}
	e.setHeap(place, i)
}

func (e *Engine) siftDown(place int) {
	heap := e.deadlines.heap
	i := heap[place]
	for {
		child := 2*place + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && e.diesBefore(heap[child+1], heap[child]) {
			child++
		}
		if !e.diesBefore(heap[child], i) {
			break
		}
		e.setHeap(place, heap[child])
		place = child
	}
	e.setHeap(place, i)
}

func (e *Engine) removeFromHeap(place int) {
	last := len(e.deadlines.heap) - 1
	moved := e.deadlines.heap[last]
	e.deadlines.heap = e.deadlines.heap[:last]
	if place == last {
		return
	}
	e.setHeap(place, moved)
	e.siftDown(place)
	e.siftUp(int(e.alignments.at(moved).before))
}
