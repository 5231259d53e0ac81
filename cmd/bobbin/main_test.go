package main

import (
	"os"
	"testing"
)

// runMain is the environment variable that makes the test binary the command
// itself, for tests that need it as a process of its own.
const runMain = "BOBBIN_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	os.Exit(m.Run())
}
