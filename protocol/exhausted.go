package protocol

import "syscall"

// exhausted are the errors of accept that pass.
func exhausted() []error {
	return []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
}
