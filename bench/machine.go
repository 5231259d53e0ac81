package bench

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is where figures come from.
type Machine struct {
	CPU        string `json:"cpu"`
	Processors int    `json:"processors"`
	MemoryMB   int64  `json:"memory_mb,omitempty"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"` // with its mount options
	Go         string `json:"go"`
	Commit     string `json:"commit,omitempty"`
}

// describeMachine tells where dir lies and what runs there.
func describeMachine(m mount) Machine {
	d := Machine{
		CPU: procField("/proc/cpuinfo", "model name"), Processors: runtime.NumCPU(),
		Kernel: runtime.GOOS, FileSystem: "unknown", Go: runtime.Version(), Commit: commit(),
	}
	if d.CPU == "" {
		d.CPU = runtime.GOARCH
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		d.Kernel = "Linux " + strings.TrimSpace(string(text))
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		d.MemoryMB = kb >> 10
	}
	if m.fsType != "" {
		d.FileSystem = m.fsType + " (" + m.options + ")"
	}
	return d
}

// procField returns the value of the first line "name: value" of a file.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// commit is the revision that the toolchain wrote into the binary, if it did.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return revision + modified
}

// mount is the file system that a directory lies on.
type mount struct {
	point   string
	device  string // major:minor of its block device, empty if it has none
	fsType  string
	options string
}

// mountOf finds the mount that holds dir: the last one, of those with the longest
// name above it. It is zero where the system does not tell.
func mountOf(dir string) mount {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	text, err2 := os.ReadFile("/proc/self/mountinfo")
	if err != nil || err2 != nil {
		return mount{}
	}
	return findMount(string(text), abs)
}

// findMount reads lines as proc(5) has them:
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func findMount(mountinfo, dir string) mount {
	var best mount
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		point := l[4]
		if point != "/" && dir != point && !strings.HasPrefix(dir, point+"/") || len(point) < len(best.point) {
			continue
		}
		best = mount{point: point, device: l[2], fsType: r[0], options: strings.Trim(l[5]+","+r[2], ",")}
		if strings.HasPrefix(best.device, "0:") {
			best.device = "" // no block device: tmpfs, overlay, a network
		}
	}
	return best
}
