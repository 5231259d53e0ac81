package replication

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/bobbin-log/bobbin/engine"
)

// The metadata comes first, the directories follow: a topic exists once its
// record is committed, and is gone once the record of its end is. What a crash
// leaves in between is finished by the next start:
//
//	crash after the record, before the directories  → made now, empty
//	crash after the end's record, before the rename → removed now: the topic's
//	                                                   id is remembered until then
//	a directory of an id that was never heard of    → left alone, or renamed
//	                                                   aside if its name is needed
//	a directory without any segment                 → the topic's, or removed
//
// So no data is ever removed because metadata is missing.

// openTopics brings the directories in line with the metadata at the start.
func (n *Node) openTopics(ctx context.Context) error {
	names, err := n.store.Names()
	if err != nil {
		return err
	}
	image := n.Image()
	for _, name := range names {
		if name == metadataLog {
			continue
		}
		if err := n.clearDirectory(image, name); err != nil {
			return err
		}
	}
	if err := n.findLost(image); err != nil {
		return err
	}
	n.reconcile()
	n.purgeDeleted(ctx)
	return nil
}

// clearDirectory removes the directory of a deleted topic, and mentions one that
// nobody knows.
func (n *Node) clearDirectory(image *Image, name string) error {
	id, err := n.store.TopicID(name)
	switch {
	case errors.Is(err, engine.ErrNotFound): // a log that was not even begun
		if hosts(image, name) {
			return nil
		}
		left, err := n.store.Leftover(name)
		if left && err == nil {
			return n.store.Delete(name)
		}
		n.log.Warn("directory is not a log's; it is left alone", "name", name, "err", err)
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
// called with the token. Topics that did not change cost a comparison.
func (n *Node) reconcile() {
	old, image := n.table.Load(), n.Image()
	if old.image == image && !old.lacksRoom() {
		return
	}
	next := old.clone(image)
	for id, h := range old.byID {
		if image.TopicByID(id) == nil {
			next.remove(h)
		}
	}
	dropped := false
	// Names of deleted topics are free only once their directories are gone.
	n.table.Store(next)
	for id, h := range old.byID {
		if image.TopicByID(id) == nil {
			n.dropTopic(h)
			dropped = true
		}
	}
	if dropped {
		// Before a topic of the same name can come to be: see findLost.
		if err := n.writeHighWatermarks(); err != nil {
			n.log.Warn("high watermarks not written", "err", err)
		}
	}
	next = next.clone(image)
	g := new(errgroup.Group)
	g.SetLimit(n.o.OpenLogs)
	for t := range image.Topics() {
		if h := old.byID[t.ID]; h == nil || h.topic != t || h.lacksRoom() {
			next.put(n.host(g, h, t))
		}
	}
	_ = g.Wait() // what could not be opened is in the table
	n.table.Store(next)
}

// host makes the entry of a new or changed topic. Its logs are opened by g; the
// entry is complete when g is done.
func (n *Node) host(g *errgroup.Group, old *hosted, t *Topic) *hosted {
	h := &hosted{topic: t, partitions: make([]replica, len(t.Partitions))}
	config := n.topicConfig(t)
	have := 0
	if old != nil {
		have = copy(h.partitions, old.partitions)
	}
	for i := range h.partitions {
		if i < have && h.partitions[i].err == nil {
			n.adjust(h.partitions[i].Partition, t, config)
			continue
		}
		g.Go(func() error {
			h.partitions[i] = n.openReplica(t, int32(i), config)
			return nil
		})
	}
	return h
}

// adjust applies what can change of a partition that is open.
func (n *Node) adjust(p *Partition, t *Topic, config engine.Config) {
	p.epoch.Store(t.Partitions[p.id].Epoch)
	if config == p.log.Config() {
		return
	}
	if err := p.log.SetConfig(config); err != nil {
		n.log.Warn("configuration not applied to an open log", "log", p.log.Name(), "err", err)
	}
}

func logName(topic string, partition int32) string {
	return topic + "-" + strconv.Itoa(int(partition))
}

func (n *Node) openReplica(t *Topic, id int32, config engine.Config) replica {
	name := logName(t.Name, id)
	l, err := n.openLog(name, engine.LogOptions{Config: config, TopicID: t.ID})
	if err != nil {
		n.log.Error("partition is offline: its log cannot be opened", "log", name, "err", err)
		return replica{err: fmt.Errorf("%s: %w: %w", name, ErrOffline, err)}
	}
	return replica{Partition: newPartition(t.Name, t.ID, id, t.Partitions[id].Epoch, l)}
}

// openLog opens a partition's log, or makes it if there is none of its topic.
func (n *Node) openLog(name string, o engine.LogOptions) (*engine.Log, error) {
	id, err := n.store.TopicID(name)
	switch mark := n.lost[name]; {
	case mark > 0:
		return nil, fmt.Errorf("its directory is gone, and with it the records below offset %d: put it back and start again, or delete the topic", mark)
	case errors.Is(err, engine.ErrNotFound):
		return n.createLog(name, o)
	case err != nil:
		return nil, err
	case id == o.TopicID:
		l, err := n.store.Open(name, o)
		if errors.Is(err, engine.ErrNotFound) { // a crash cut its creation short
			return n.createLog(name, o)
		}
		return l, err
	case n.Image().Deleted(id):
		err = n.store.Delete(name)
	default:
		var aside string
		aside, err = n.store.SetAside(name)
		n.log.Warn("directory of another topic was in the way and has been renamed", "log", name, "to", aside)
	}
	if err != nil {
		return nil, err
	}
	return n.createLog(name, o)
}

// createLog makes a log and its directory durable at once, so that whose it is
// can be told after any crash.
func (n *Node) createLog(name string, o engine.LogOptions) (*engine.Log, error) {
	l, err := n.store.Create(name, o)
	if err != nil {
		return nil, err
	}
	if err := n.o.FS.SyncDir(path.Join(n.o.Dir, name)); err != nil {
		return nil, errors.Join(err, n.store.Delete(name))
	}
	return l, nil
}

// dropTopic removes the logs of a topic that was deleted.
func (n *Node) dropTopic(h *hosted) {
	for _, r := range h.partitions {
		if r.Partition != nil {
			r.deleted.Store(true)
		}
	}
	g := new(errgroup.Group)
	g.SetLimit(n.o.OpenLogs)
	for i := range h.partitions {
		name := logName(h.topic.Name, int32(i))
		delete(n.lost, name)
		g.Go(func() error {
			if err := n.store.Delete(name); err != nil {
				n.log.Error("directory of a deleted topic not removed; the next start tries again", "log", name, "err", err)
			}
			return nil
		})
	}
	_ = g.Wait()
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
	for _, name := range names {
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

// topicConfig is a topic's effective configuration. Configs that this release
// refuses are left out with a warning: the data must be reachable.
func (n *Node) topicConfig(t *Topic) engine.Config {
	c, err := n.o.Defaults.With(t.Configs)
	if err == nil {
		return c
	}
	c = n.o.Defaults
	for k, v := range t.Configs {
		next, err := c.With(map[string]string{k: v})
		if err != nil {
			n.log.Warn("a topic's config is not in force", "topic", t.Name, "err", err)
			continue
		}
		c = next
	}
	return c
}

// TopicConfig is the effective configuration of a topic with these configs set.
func (n *Node) TopicConfig(configs map[string]string) (engine.Config, error) {
	return n.o.Defaults.With(configs)
}

// Defaults are the topics' configuration where they have none of their own.
func (n *Node) Defaults() engine.Config { return n.o.Defaults }

// checkConfigs says why a topic cannot have the configs, or cannot get them in
// place of those that it has; these are nil for a new topic.
func (n *Node) checkConfigs(before, configs map[string]string) error {
	next, err := n.o.Defaults.With(configs)
	if err != nil || before == nil {
		return err
	}
	was, err := n.o.Defaults.With(before)
	if err != nil {
		return nil // of another release: whatever it was, the log is not open as it
	}
	if err := was.Design.CanBecome(next.Design); err != nil {
		return &engine.KeyError{Key: designKey, Value: configs[designKey], Why: err.Error()}
	}
	return nil
}

// designKey is the topic's key that says how its logs lie.
const designKey = "bobbin.design"

// listConfig tells the controller which configs are lists, and what they are
// where a topic does not say.
func (n *Node) listConfig(name string) (string, bool) {
	k, ok := engine.FindKey(name)
	if !ok || k.Type != engine.List {
		return "", false
	}
	return k.Value(n.o.Defaults), true
}
