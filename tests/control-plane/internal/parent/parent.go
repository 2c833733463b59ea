// Package parent ends a program together with the process that started it, also when that process is killed
// and has no chance to clean up.
package parent

import (
	"io"
	"os"
)

// Variable is the environment variable that asks for the watch. Without it standard input stays untouched.
const Variable = "PARENT_PIPE"

// ExitWhenGone ends the process at the end of standard input, if PARENT_PIPE is 1. The parent holds the writing end
// of a pipe there and never writes; the kernel closes it when the parent ends, however it ends.
func ExitWhenGone() {
	if os.Getenv(Variable) != "1" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
