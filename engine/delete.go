package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Delete closes those of the logs that are open and removes them. Once it returns
// they are gone for good, also after a crash, by one sync for all of them; their
// bytes are given back behind. It is not an error if there is no such log. An error
// of one does not keep the others.
func (s *Store) Delete(names ...string) error {
	if !s.begin() {
		return ErrClosed
	}
	defer s.underWay.Done()
	var asides, gone []string
	var errs []error
	for _, name := range names {
		aside, err := s.renameDeleted(name)
		if err != nil {
			errs = append(errs, err)
		} else if aside != "" {
			asides, gone = append(asides, aside), append(gone, name)
		}
	}
	if len(gone) == 0 {
		return errors.Join(errs...)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, name := range gone {
		s.journal.deleted(name)
	}
	s.deletes.Go(func() {
		for _, aside := range asides {
			s.removeAside(aside)
		}
	})
	return errors.Join(errs...)
}

// renameDeleted closes a log and gives its directory a name that says that it is
// on its way out; the name is empty if there is no such log.
func (s *Store) renameDeleted(name string) (aside string, err error) {
	s.mu.Lock()
	l := s.mu.logs[name]
	delete(s.mu.logs, name)
	s.mu.Unlock()
	if l != nil {
		l.abandon()
	}
	s.checkpoints.drop(name)
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	aside = path.Join(s.dir, fmt.Sprintf("%.200s.%s%s", name, hex.EncodeToString(id[:]), suffixDelete))
	err = s.fs.Rename(path.Join(s.dir, name), aside)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return aside, err
}

func (s *Store) removeAside(dir string) {
	if err := s.fs.RemoveAll(dir); err != nil {
		s.log.Warn("deleted log not removed, the next start will try again", "path", dir, "err", err)
	}
}

// finishDeletes removes what an earlier run renamed aside.
func (s *Store) finishDeletes() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if mayBeDir(e) && isDeleted(e.Name()) {
			s.deletes.Go(func() { s.removeAside(path.Join(s.dir, e.Name())) })
		}
	}
	return nil
}
