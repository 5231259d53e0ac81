// Package controller is the cluster's metadata as a deterministic machine:
// topics with their ids, partitions, leaders and configs, the brokers, and the
// blocks of producer ids.
//
// A command is a method that decides: it reads the state, changes nothing, and
// returns records and a reply. The records take effect when they come back
// through Apply, from the log on which the cluster agreed. Everything random
// (topic ids) is an argument of the command.
//
// Readers take an [Image], an immutable snapshot.
package controller

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
)

// Options are the facts of this broker that commands are decided by. They have
// no part in Apply: what was decided is in the records.
type Options struct {
	// ControllerID is what [Image.ControllerID] says.
	ControllerID int32
	// Partitions and Replication are for topics that ask for the default (-1);
	// both at least 1.
	Partitions  int32
	Replication int16
	// CheckConfigs says what is wrong with a topic's configs, or with having them
	// in place of those before, which are nil for a new topic; nil if nothing is.
	CheckConfigs func(before, configs map[string]string) error
	// CheckBrokerConfigs says what is wrong with having the brokers' configs in place
	// of those that the image has.
	CheckBrokerConfigs func(m *Image, configs BrokerConfigs) error
	// ListConfig tells whether a config is a list, and its default value.
	ListConfig func(name string) (value string, list bool)
	// ListBrokerConfig tells the same of a broker's.
	ListBrokerConfig func(name string) (value string, list bool)
}

// Controller is a quorum.Machine. Apply, Restore, Snapshot and the commands are
// called one at a time; Image may be called concurrently with everything.
type Controller struct {
	o     Options
	image atomic.Pointer[Image]
}

// New makes a controller without any state.
func New(o Options) *Controller {
	c := &Controller{o: o}
	image := newImage()
	image.ControllerID = o.ControllerID
	c.image.Store(image)
	return c
}

// Image is the state that the last applied command left.
func (c *Controller) Image() *Image { return c.image.Load() }

// Apply changes the state by the records of one command; observers see all of
// them or none. An unknown or damaged record is an error, and changes nothing.
func (c *Controller) Apply(offset int64, records [][]byte) error {
	d := c.Image().edit()
	for i, r := range records {
		if err := d.apply(r); err != nil {
			return fmt.Errorf("record %d of %d: %w", i+1, len(records), err)
		}
	}
	d.image.Offset = offset
	c.image.Store(d.image)
	return nil
}

// Snapshot writes the state as the records that make it.
func (c *Controller) Snapshot(w io.Writer) error {
	_, err := w.Write(encodeSnapshot(c.Image()))
	return err
}

// snapshotBytesMax bounds what Restore reads.
const snapshotBytesMax = 1 << 30

// Restore replaces the state by a snapshot's.
func (c *Controller) Restore(r io.Reader) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, snapshotBytesMax+1)); err != nil {
		return err
	}
	if b.Len() > snapshotBytesMax {
		return fmt.Errorf("a snapshot of more than %d bytes", snapshotBytesMax)
	}
	image, err := decodeSnapshot(b.Bytes())
	if err != nil {
		return err
	}
	image.ControllerID = c.o.ControllerID
	c.image.Store(image)
	return nil
}
