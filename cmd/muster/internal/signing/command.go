package signing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// maxSignature bounds what a command may answer, in bytes.
const maxSignature = 4 << 10

// Command runs a program that gets what is to be signed on standard input and
// answers the signature of its SHA-256 on standard output. line is the program
// and its arguments, separated by spaces, and goes through no shell. What the
// program says to people goes to messages.
func Command(ctx context.Context, line string, messages io.Writer) func(input []byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		words := strings.Fields(line)
		if len(words) == 0 {
			return nil, errors.New("the sign command is empty")
		}
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(input), messages
		answer, err := cmd.Output()
		switch {
		case err != nil:
			return nil, fmt.Errorf("run the sign command %s: %w", words[0], err)
		case len(answer) == 0:
			return nil, fmt.Errorf("the sign command %s answered nothing", words[0])
		case len(answer) > maxSignature:
			return nil, fmt.Errorf("the sign command %s answered %d bytes, which is no signature", words[0], len(answer))
		}
		return answer, nil
	}
}
