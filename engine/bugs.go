package engine

// bug is a mistake that storage engines have made and shipped. Each is one line
// away from being made here again, and each is a place where a test could be
// blind. Built with the tag "bugs", a test binary makes the one that the
// environment names in BOBBIN_BUG, and the rigs must see it:
//
//	go test -tags bugs -run TestEveryBugIsSeen ./engine ./fuzz
//
// Without the tag [bug.made] is false when the program is compiled, and nothing
// of a bug is left in it.
type bug string

const (
	// Syncs and their order.

	bugNoDirSync    bug = "no_dirsync"      // a roll syncs the new file, not its name (KAFKA-3968)
	bugAckEarly     bug = "ack_before_sync" // an append is acknowledged when it is written
	bugHandedEarly  bug = "handed_early"    // or, where the kernel has to have it, when only the process has
	bugServeEarly   bug = "serve_unsynced"  // what a recovery finds is served before it is synced (KAFKA-10101)
	bugSyncIgnored  bug = "sync_ignored"    // a sync that failed counts as one that worked (fsyncgate)
	bugNamesUnkept  bug = "names_unkept"    // a start does not sync the names that a killed process made
	bugTruncateLazy bug = "truncate_lazy"   // a truncation returns before it is durable

	// What recovery believes.

	bugCheckpointEarly bug = "checkpoint_early" // the recovery point covers what is not durable
	bugCheckpointKept  bug = "checkpoint_kept"  // a truncation leaves the recovery point above it
	bugSkipCRC         bug = "skip_crc"         // the tail is recovered by its lengths alone
	bugIndexTrusted    bug = "index_trusted"    // the indexes of the tail are believed after a crash
	bugRetentionBlind  bug = "retention_blind"  // retention asks the time index, not the records (KAFKA-10207)
	bugMarkerKept      bug = "marker_kept"      // the mark of a clean stop stays for the next start
	bugMarkerEarly     bug = "marker_early"     // and is left though some logs were not recovered
	bugSnapshotNewer   bug = "snapshot_newer"   // producers' state from past the log's end is believed
	bugEpochsKept      bug = "epochs_kept"      // a truncation keeps the epochs that it cut off
	bugColdTruncated   bug = "cold_truncated"   // damage below the recovery point cuts the log, as in Kafka
	bugHoleKept        bug = "hole_kept"        // segments behind one that was cut short stay
	bugSnapshotEarly   bug = "snapshot_early"   // a checkpoint's snapshot proves a sync that was not made

	// What compaction and the journal replace.

	bugMarkersEarly    bug = "markers_early"    // compaction drops markers whose transactions still have data (KAFKA-14055)
	bugTombstonesEarly bug = "tombstones_early" // and tombstones before delete.retention.ms is over
	bugProducerDropped bug = "producer_dropped" // and the last batch of a producer, so that its next one is a gap
	bugCleanedKept     bug = "cleaned_kept"     // a truncation leaves the mark of what was compacted above it
	bugSwapEarly       bug = "swap_early"       // old segments go before the new one's name is durable
	bugJournalFreed    bug = "journal_freed"    // a journal file is used again before the segments have what it has
	bugJournalTorn     bug = "journal_torn"     // a group is replayed that was not written whole
	bugJournalGhost    bug = "journal_ghost"    // a log of a deleted one's name gets the deleted one's records
)
