package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// suffixStray marks directories that no topic owns, as in Kafka.
const suffixStray = "-stray"

// TopicID reads whose log a directory has, without opening it. It is zero where
// partition.metadata is missing, and ErrNotFound where there are no segments: a
// crash can leave a directory of which nothing else is whole, and Create takes
// it.
func (s *Store) TopicID(name string) (id [16]byte, err error) {
	begun, err := s.begun(name)
	if err != nil {
		return id, err
	}
	if !begun {
		return id, fmt.Errorf("log %s: %w", name, ErrNotFound)
	}
	return readTopicID(s.fs, path.Join(s.dir, name))
}

// begun reports whether a directory is there and has a segment.
func (s *Store) begun(name string) (bool, error) {
	entries, err := s.fs.ReadDir(path.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		_, ok := fileOffset(e.Name(), suffixSegment)
		return ok
	}), err
}

// Leftover reports whether a directory has nothing in it but what a crash leaves
// of a log that was not begun: no segment, and no file that is not a log's. It
// may then be deleted.
func (s *Store) Leftover(name string) (bool, error) {
	entries, err := s.fs.ReadDir(path.Join(s.dir, name))
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		file := strings.TrimSuffix(e.Name(), vfs.SuffixTemp)
		known := file == nameTopic || file == nameEpochs || file == nameQuarantine
		for _, suffix := range []string{suffixOffsets, suffixTimes, suffixSnapshot} {
			_, ok := fileOffset(file, suffix)
			known = known || ok
		}
		if !known || e.IsDir() {
			return false, nil
		}
	}
	return true, nil
}

// SetAside durably renames the directory of a log that is not open, so that the
// name is free and nothing is lost. It returns the new name, which is no log's.
func (s *Store) SetAside(name string) (aside string, err error) {
	if err := s.bringHome(name); err != nil {
		return "", err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	aside = fmt.Sprintf("%.200s.%s%s", name, hex.EncodeToString(id[:]), suffixStray)
	s.checkpoints.drop(name)
	if err := s.fs.Rename(path.Join(s.dir, name), path.Join(s.dir, aside)); err != nil {
		return "", err
	}
	return aside, s.fs.SyncDir(s.dir)
}
