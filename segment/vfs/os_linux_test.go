package vfs_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

func TestOSDescriptor(t *testing.T) {
	f := create(t, vfs.OS{}, filepath.Join(t.TempDir(), "a"), "hello")
	defer f.Close()
	fd, has := f.Fd()
	if !has {
		t.Fatal("no descriptor")
	}
	link := must(os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd))))(t)
	if link != f.Name() {
		t.Fatalf("descriptor %d is of %s, want %s", fd, link, f.Name())
	}
	flags := string(must(os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(fd))))(t))
	const closeOnExec, nonBlock = 0o2000000, 0o4000
	_, octal, _ := strings.Cut(flags, "flags:\t")
	octal, _, _ = strings.Cut(octal, "\n")
	if bits := must(strconv.ParseUint(octal, 8, 64))(t); bits&closeOnExec == 0 || bits&nonBlock != 0 {
		t.Fatalf("descriptor has flags %o: want close-on-exec, not non-blocking", bits)
	}
	if got := contentOf(t, f); got != "hello" {
		t.Fatalf("after Fd the file reads %q", got)
	}
}

func TestOSLockNamesItsHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	ok(t, os.WriteFile(name, []byte("a longer text from some earlier holder\n"), 0o600))
	l := must(vfs.OS{}.Lock(name))(t)
	defer l.Close()
	pid := strconv.Itoa(os.Getpid())
	if got := string(must(os.ReadFile(name))(t)); got != pid+"\n" {
		t.Fatalf("lock file holds %q, want the process id %s", got, pid)
	}
	_, err := vfs.OS{}.Lock(name)
	refused(t, err, vfs.ErrLocked, "lock", pid)
}

// smallDisk mounts a file system of the given size, or skips the test.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountMemory(dir, bytes); err != nil {
		t.Skip("cannot mount a small file system:", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestOSFullDisk(t *testing.T) {
	const page, pages = 4096, 16
	dir := smallDisk(t, pages*page)
	sys := vfs.OS{}
	name := path.Join(dir, "a")
	f := create(t, sys, name, "")
	defer f.Close()

	err := f.Preallocate((pages + 1) * page)
	refused(t, err, vfs.ErrNoSpace, "preallocate", name)
	if size := must(f.Size())(t); size != 0 {
		t.Fatalf("a refused Preallocate left %d bytes", size)
	}
	if u := must(sys.Usage(dir))(t); u.Size != pages*page || u.Free != u.Size {
		t.Fatalf("usage is %+v, want all %d bytes free", u, pages*page)
	}

	// The disk gets full inside a vector: what fitted is written and counted.
	var bufs [][]byte
	var all []byte
	for i := range 2 * pages {
		bufs = append(bufs, bytes.Repeat([]byte{byte(i)}, 3000))
		all = append(all, bufs[i]...)
	}
	n, err := f.WriteAt(bufs, 0)
	refused(t, err, vfs.ErrNoSpace, "write", name)
	if n != pages*page || contentOf(t, f) != string(all[:n]) {
		t.Fatalf("wrote %d bytes, want %d, or the file differs", n, pages*page)
	}
	n, err = f.WriteAt([][]byte{all}, 0) // a single buffer takes another way
	refused(t, err, vfs.ErrNoSpace, "write", name)
	if n != pages*page {
		t.Fatalf("wrote %d bytes, want %d", n, pages*page)
	}

	ok(t, f.Truncate(page)) // heals
	if n, err = f.WriteAt(bufs[:5], page); err != nil || n != 15_000 {
		t.Fatalf("wrote %d bytes after room was made: %v", n, err)
	}
}

func TestOSSharesMappingsAcrossOpenings(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := create(t, vfs.OS{}, name, "abc")
	m := must(f.Map(3))(t)
	m.Bytes()[1] = 'B'
	ok(t, errors.Join(m.Flush(), m.Unmap(), f.Close()))
	if got := string(must(os.ReadFile(name))(t)); got != "aBc" {
		t.Fatalf("file holds %q", got)
	}
}

func TestOSWriteAllocatesNothing(t *testing.T) {
	f := create(t, vfs.OS{}, filepath.Join(t.TempDir(), "a"), "")
	defer f.Close()
	for _, vectors := range []int{1, 2, 8} {
		bufs := payload(8<<10, vectors)
		if n := testing.AllocsPerRun(100, func() { _, _ = f.WriteAt(bufs, 0) }); n != 0 {
			t.Errorf("a write of %d buffers allocates %v times", vectors, n)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _ = f.Sync() }); n != 0 {
		t.Errorf("a sync allocates %v times", n)
	}
}

// One call of the kernel takes 2 GiB at most, and may end inside a buffer.
func TestOSContinuesShortWrites(t *testing.T) {
	f := must(vfs.OS{}.Open("/dev/null"))(t)
	defer f.Close()
	const size = 100<<20 + 1
	buf := make([]byte, size) // never touched
	for _, n := range []int{1, 25} {
		bufs := slices.Repeat([][]byte{buf}, n)
		if written, err := f.WriteAt(bufs, 0); err != nil || written != int64(n)*size {
			t.Fatalf("wrote %d bytes of %d: %v", written, n*size, err)
		}
	}
}

// A fallocate that fails on ext4 has grown the file as far as there was room.
func TestOSPreallocateGivesBackRoom(t *testing.T) {
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	ok(t, os.WriteFile(image, nil, 0o600))
	ok(t, os.Truncate(image, 4<<20))
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("cannot mount a small ext4: %v: %v: %s", command, err, out)
		}
	}
	t.Cleanup(func() { ok(t, unmount(dir)) })
	name := path.Join(dir, "a")
	f := create(t, vfs.OS{}, name, "content")
	defer f.Close()
	ok(t, f.Sync())
	before := must(vfs.OS{}.Usage(dir))(t).Free
	err := f.Preallocate(16 << 20)
	refused(t, err, vfs.ErrNoSpace, "preallocate", name)
	if got := contentOf(t, f); got != "content" {
		t.Errorf("a refused Preallocate left %d bytes", len(got))
	}
	if after := must(vfs.OS{}.Usage(dir))(t).Free; after != before {
		t.Errorf("a refused Preallocate kept %d bytes of the disk", before-after)
	}
}
