package index

import "github.com/bobbin-log/bobbin/segment/vfs"

// openDense opens an index that is given an entry for every batch, but for the
// first of a segment, to which every search comes without one. A lookup names
// the batch itself: no header of the segment is read on the way to it, as it is
// for up to index.interval.bytes with a sparse index. The price is 8 bytes for
// each batch, and up to 12 where times ascend, which one append in a page of the
// mapping pays in the writeback of that page: with batches of 16 KiB less than a
// thousandth of the log, with batches of 100 bytes a fifth.
//
// The files are those of mmap, which are Kafka's: what index.interval.bytes=0
// would write. A format of our own could be half as long (positions as
// differences, offsets as a bitmap), but then neither Kafka nor its tools could
// read the directory, mmap and dense could not take each other's place, and the
// binary search over fixed entries would become a search and a scan. What is
// bounded by MaxBytes is the number of batches in a segment: 1.3 million by
// default, after which the log rolls.
func openDense(fs vfs.FS, path string, o Options) (Index, error) { return openMmap(fs, path, o) }
