package engine

import (
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// The names of a log's files, as Apache Kafka has them: a 20-digit offset and a
// suffix. For segments and indexes it is the first offset, for producer
// snapshots the offset that the snapshot goes up to.
const (
	suffixSegment  = ".log"
	suffixOffsets  = ".index"
	suffixTimes    = ".timeindex"
	suffixSnapshot = ".snapshot"
	suffixAborted  = ".txnindex"

	nameEpochs = "leader-epoch-checkpoint"
	nameTopic  = "partition.metadata"
	// nameKafkaMetadata is the log of an Apache Kafka broker's own metadata: it is
	// read elsewhere, and never opened.
	nameKafkaMetadata = "__cluster_metadata-0"

	// nameQuarantine is ours; Kafka leaves a file alone that it does not know.
	nameQuarantine = "bobbin-quarantine"

	suffixDelete = "-delete" // a log's directory that is on its way out
)

func fileName(dir string, offset int64, suffix string) string {
	return path.Join(dir, fmt.Sprintf("%020d%s", offset, suffix))
}

// isDeleted reports whether a name is that of a log on its way out, ours or
// Kafka's: what it was, a dot, 8 or 16 bytes in hexadecimal, and the suffix.
func isDeleted(name string) bool {
	name, ok := strings.CutSuffix(name, suffixDelete)
	id := name[strings.LastIndexByte(name, '.')+1:]
	_, err := hex.DecodeString(id)
	return ok && len(id) < len(name) && (len(id) == 16 || len(id) == 32) && err == nil
}

// fileOffset reads the offset from a name with the suffix.
func fileOffset(name, suffix string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0
}

// splitName takes a log's name apart: "my-topic-7" is partition 7 of "my-topic".
func splitName(name string) (topic string, partition int32, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != name[i+1:] {
		return "", 0, false
	}
	return name[:i], int32(n), true
}
