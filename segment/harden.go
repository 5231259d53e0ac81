package segment

// hardening is what fileSegment knows for Harden. Guarded by syncing.
type hardening struct {
	// hard is how many bytes from the start on are known to be durable, -1: a
	// Sync has to settle it.
	hard  int64
	again []byte // room for the bytes that are written a second time
}

// hardenMaxBytes is how long a tail may be to be written a second time.
const hardenMaxBytes = 1 << 20

// Harden makes the tail durable by writing it once more, with a write that is
// durable when it returns: it takes the bytes that came since the last Sync or
// Harden out of the page cache and puts them back where they were.
//
// It looks like a detour, and is one. A durable write in place of the append's own
// would have to be made where offsets are given out, under the log's lock, and
// every append would wait for the device alone; group commit would be gone.
// Keeping appends in memory until the leader of a group writes them would need
// what the designs that write behind have: room that is asked for ahead, so that a
// full disk is met by the append and not by the sync, and reads out of memory. This
// way an append does what it always does, whoever reads sees the page cache, and
// the price is two copies of the tail, which do not show beside a device's flush:
// for 16 KiB on a virtual disk with ext4 the medians of a write and an fdatasync,
// of this, and of one durable write alone were 155, 152 and 145 µs in a file of
// written blocks, and 275 to 278 µs, all three, in one that grows. With sixteen
// writers on a busy machine it had 0.7 to 1.1 of the throughput of a sync: it is
// here to be compared, and to be looked at again where a device has a write that
// is durable without a flush.
//
// What it differs in from a sync is that only these bytes are written back, and
// what is needed to find them again. After a Truncate, in a file that was there
// before, once it is sealed, and for a tail of more than hardenMaxBytes it is a
// Sync.
//
// The bytes are the same as before, so neither readers nor a crash half way can
// tell. The appender may write behind them meanwhile.
func (s *fileSegment) Harden() error {
	if err := s.beginSync(); err != nil {
		return err
	}
	defer s.endSync()
	size := s.size.Load()
	tail := size - s.hard
	switch {
	case s.hard < 0 || tail < 0 || tail > hardenMaxBytes || s.sealed.Load():
		return s.sync(size)
	case tail == 0:
		return nil
	}
	if int64(cap(s.again)) < tail {
		s.again = make([]byte, 0, max(tail, 2*int64(cap(s.again))))
	}
	buf := s.again[:tail]
	if _, err := s.f.ReadAt(buf, s.hard); err != nil {
		return s.fail(err)
	}
	if err := s.f.WriteDurable(buf, s.hard); err != nil {
		return s.fail(err)
	}
	s.hard = size
	return nil
}

// Harden is Sync: it writes what was kept from the file and makes it durable in
// one call where there is a way.
func (s *directSegment) Harden() error { return s.Sync() }
