//go:build race

package vfs

// copyUnseen copies from or to mapped memory, whose holder stores into it without
// a lock. The race detector is kept from seeing this side of it, as it cannot see
// the kernel's side of a real mapping. A torn copy is a torn block of an unsynced
// store, which the fault model allows. The copy builtin is watched even here, so
// it is a loop.
//
//go:norace
func copyUnseen(dst, src []byte) {
	for i := range min(len(dst), len(src)) {
		dst[i] = src[i]
	}
}
