package replication

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
)

// The metadata comes first, the directories follow: a topic exists once its
// record is committed, and is gone once the record of its end is. A partition's
// directory is made by its first use, so a topic of many partitions costs one
// record, as in Apache Kafka, which also answers before a broker has made the logs.
// What is found at a start, or when a name is needed:
//
//	a partition without a directory                 → was never used; or lost, if
//	                                                   there is a high watermark
//	crash after the end's record, before the rename → removed now: the topic's
//	                                                   id is remembered until then
//	a directory of an id that was never heard of    → left alone, or renamed
//	                                                   aside if its name is needed
//	a directory without any segment                 → the topic's, or removed
//
// So no data is ever removed because metadata is missing.

// openTopics brings the directories in line with the metadata at the start.
// The directories of partitions are not looked into: there may be very many.
func (n *Node) openTopics(ctx context.Context) error {
	names, err := n.store.Names()
	if err != nil {
		return err
	}
	image := n.Image()
	found := leftBehind{dirs: make(map[string]bool, len(names))}
	for _, name := range names {
		found.dirs[name] = true
		if name == metadataLog || hosts(image, name) {
			continue
		}
		if err := n.clearDirectory(image, name); err != nil {
			return err
		}
	}
	if found.marks, err = n.readHighWatermarks(image); err != nil {
		return err
	}
	n.reconcile(&found)
	if len(names) <= purgeAtOnceMax {
		n.purgeDeleted(ctx)
	}
	return nil
}

// purgeAtOnceMax is of how many directories a start that has deleted topics to
// forget finds out whose they are; of more, housekeeping does.
const purgeAtOnceMax = 1000

// leftBehind is what an earlier run has left: directories that may be logs, and
// the high watermarks by their names.
type leftBehind struct {
	dirs  map[string]bool
	marks engine.Checkpoint
}

// of tells of one log.
func (b *leftBehind) of(name string) (there bool, mark int64) {
	if b == nil {
		return false, 0
	}
	return b.dirs[name], b.marks[name]
}

// clearDirectory removes a directory that has no partition's name if it is that of
// a deleted topic, and mentions it if nobody knows whose it is.
func (n *Node) clearDirectory(image *Image, name string) error {
	id, err := n.store.TopicID(name)
	switch {
	case errors.Is(err, engine.ErrNotFound): // a log that was not even begun
		switch left, err := n.store.Leftover(name); {
		case err != nil:
			n.log.Warn("directory cannot be read; it is left alone", "name", name, "err", err)
		case left:
			return n.store.Delete(name)
		default:
			n.log.Warn("directory is not a log's; it is left alone", "name", name)
		}
	case err != nil:
		n.log.Warn("directory cannot be told whose it is; it is left alone", "log", name, "err", err)
	case image.Deleted(id):
		n.log.Info("removing the directory of a deleted topic", "log", name)
		return n.store.Delete(name)
	case image.TopicByID(id) == nil:
		n.log.Warn("directory belongs to no topic; it is left alone", "log", name)
	}
	return nil
}

// hosts reports whether a log's name is that of a partition that exists.
func hosts(image *Image, name string) bool {
	dash := strings.LastIndexByte(name, '-')
	t := image.TopicByName(name[:max(dash, 0)])
	if t == nil {
		return false
	}
	id, err := strconv.Atoi(name[dash+1:])
	return err == nil && id < len(t.Partitions)
}

// reconcile makes the table, and the directories, what the metadata says. It is
// called with the token. Topics that did not change cost next to nothing. At the
// start it is told what was found.
func (n *Node) reconcile(found *leftBehind) {
	old, image := n.table.Load(), n.Image()
	if old.image == image {
		return
	}
	defaults, err := n.defaults(image)
	if defaults != old.defaults {
		n.sayBrokerConfigs(image, err)
	}
	var gone []*hosted
	var changed []*Topic
	for was, is := range image.ChangedSince(old.image) {
		if is != nil {
			changed = append(changed, is)
		} else if h := old.withID(was.ID); h != nil {
			gone = append(gone, h)
		}
	}
	next := old.edit(image, defaults)
	for _, h := range gone {
		next.remove(h)
	}
	// Names of deleted topics are free only once their directories are gone.
	n.table.Store(next)
	for _, h := range gone {
		n.dropTopic(h)
	}
	if len(gone) > 0 {
		n.marksChanged.Store(true)
		// Before a topic of the same name can come to be: see readHighWatermarks.
		if err := n.writeHighWatermarks(); err != nil {
			n.log.Warn("high watermarks not written", "err", err)
		}
	}
	next = next.edit(image, defaults)
	if defaults != old.defaults {
		for h := range next.byID.All() {
			n.configure(h, defaults)
		}
	}
	for _, t := range changed {
		next.put(n.host(old.withID(t.ID), t, defaults, found))
	}
	n.table.Store(next)
}

// configure puts a topic's configuration in force where the broker's has changed.
func (n *Node) configure(h *hosted, defaults engine.Config) {
	config := n.topicConfig(h.topic, defaults)
	for _, p := range h.partitions {
		p.reconfigure(&config)
	}
}

// host makes the entry of a new or changed topic. All of its new partitions are cold.
func (n *Node) host(old *hosted, t *Topic, defaults engine.Config, found *leftBehind) *hosted {
	h := &hosted{topic: t, partitions: make([]*Partition, len(t.Partitions))}
	config := n.topicConfig(t, defaults)
	have := 0
	if old != nil {
		have = copy(h.partitions, old.partitions)
	}
	for i := range h.partitions {
		if i < have {
			p := h.partitions[i]
			p.epoch.Store(t.Partitions[i].Epoch)
			p.reconfigure(&config)
			continue
		}
		p := newPartition(n, t, int32(i), &config)
		h.partitions[i] = p
		switch there, mark := found.of(p.name()); {
		case there:
			p.mark.Store(mark)
		case mark == 0:
			p.disk.Store(absent)
		default: // it is lost: that is said now, and not by the first use
			p.mark.Store(mark)
			_, _ = p.warm()
		}
	}
	return h
}

func logName(topic string, partition int32) string {
	return topic + "-" + strconv.Itoa(int(partition))
}

// openReplica opens a partition's log for it. The error is ErrOffline, unless the
// node stops.
func (n *Node) openReplica(p *Partition) (*opened, error) {
	name := p.name()
	l, err := n.openLog(name, engine.LogOptions{Config: *p.config.Load(), TopicID: p.topicID}, p.mark.Load())
	if errors.Is(err, engine.ErrClosed) {
		return nil, err
	}
	if err != nil {
		if errors.Is(err, engine.ErrNoSpace) {
			n.roomless.Store(true)
		}
		n.log.Error("partition is offline: its log cannot be opened", "log", name, "err", err)
		return nil, fmt.Errorf("%s: %w: %w", name, ErrOffline, err)
	}
	return &opened{log: l, quorum: *quorum.NewSingle(l)}, nil
}

// openLog opens a partition's log, or makes it if there is none of its topic and
// there never were records in it.
func (n *Node) openLog(name string, o engine.LogOptions, mark int64) (*engine.Log, error) {
	id, err := n.store.TopicID(name)
	var l *engine.Log
	if err == nil && id == o.TopicID {
		l, err = n.store.Open(name, o)
	}
	switch {
	case errors.Is(err, engine.ErrNotFound) && mark > 0:
		return nil, fmt.Errorf("its directory is gone, and with it the records below offset %d: put it back and start again, or delete the topic", mark)
	case errors.Is(err, engine.ErrNotFound): // never used, or a crash cut its creation short
		var left bool
		if left, err = n.store.Leftover(name); err == nil && !left {
			err = n.clearTheWay(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case err != nil || l != nil:
		return l, err
	case id == [16]byte{}: // no crash does that: the id is durable before a segment is made
		return nil, fmt.Errorf("its partition.metadata is gone, and nobody can tell whose these records are: put it back, with the lines \"version: 0\" and \"topic_id: %s\" if they are this topic's, or else move the directory away",
			base64.RawURLEncoding.EncodeToString(o.TopicID[:]))
	case n.Image().Deleted(id):
		err = n.store.Delete(name)
	default:
		err = n.clearTheWay(name)
	}
	if err != nil {
		return nil, err
	}
	return n.store.Create(name, o)
}

// clearTheWay renames a directory that has a partition's name and is not its.
func (n *Node) clearTheWay(name string) error {
	aside, err := n.store.SetAside(name)
	if err == nil {
		n.log.Warn("somebody else's directory was in the way and has been renamed", "log", name, "to", aside)
	}
	return err
}

// dropTopic removes the logs of a topic that was deleted.
func (n *Node) dropTopic(h *hosted) {
	var names []string
	for _, p := range h.partitions {
		p.end()
		if n.owns(p) {
			names = append(names, p.name())
		}
	}
	if err := n.store.Delete(names...); err != nil {
		n.log.Error("directories of a deleted topic not removed; the next start tries again", "topic", h.topic.Name, "err", err)
	}
}

// owns reports whether the directory of a partition's name is the partition's, to
// be removed with it: where it was never used, somebody else's may have the name.
func (n *Node) owns(p *Partition) bool {
	if p.disk.Load() == ours {
		return true
	}
	id, err := n.store.TopicID(p.name())
	if errors.Is(err, engine.ErrNotFound) {
		left, err := n.store.Leftover(p.name())
		return left && err == nil
	}
	return err != nil || id == p.topicID
}

// purgeDeleted lets the metadata forget deleted topics of which no directory is
// left.
func (n *Node) purgeDeleted(ctx context.Context) {
	ids := n.Image().DeletedTopics()
	if len(ids) == 0 {
		return
	}
	names, err := n.store.Names()
	if err != nil {
		return // the next round tries again
	}
	known := n.identified()
	for _, name := range names {
		if known[name] {
			continue
		}
		id, err := n.store.TopicID(name)
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return
		}
		ids = slices.DeleteFunc(ids, func(d [16]byte) bool { return d == id })
	}
	err = n.raft.Propose(ctx, func() ([][]byte, error) { return n.controller.PurgeTopics(ids), nil })
	if err != nil {
		n.log.Debug("deleted topics not forgotten yet", "err", err)
	}
}

// identified are the logs that were opened in this run: they are their topics'.
func (n *Node) identified() map[string]bool {
	known := map[string]bool{}
	for p := range n.table.Load().all() {
		if p.disk.Load() == ours {
			known[p.name()] = true
		}
	}
	return known
}
