//go:build !windows

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// runAndShow is for Windows only: elsewhere root would start a browser.
func (f *auditFlags) runAndShow(cmd *cobra.Command) error {
	return usage(cmd, errors.New("--open is for Windows only: use --output html --out FILE, and open the file"))
}
