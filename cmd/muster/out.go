package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster/internal/durable"
)

// writeOut writes what write gives to the file that the user named, whole or not
// at all. What is no plain file, such as a pipe or /dev/stdout, is
// written to and stays what it is.
func writeOut(path string, perm os.FileMode, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return durable.WriteFile(path, b.Bytes(), perm)
	}
	if !info.Mode().IsRegular() || strings.HasPrefix(path, "/dev/") {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(b.Bytes())
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	}
	// A link stays a link, and no file becomes readable to more people.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	return durable.WriteFile(path, b.Bytes(), info.Mode().Perm()&perm)
}

// checkOut refuses a place where no file can be, before any work is done.
func checkOut(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return fmt.Errorf("there is no folder %s: make it first", folder)
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", folder)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file", path)
	}
	return nil
}
