package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// same is how far apart two values of a colour may be, of 65535, and look the same.
const same = 4096

// compare says which pictures of a folder differ from those of an earlier one in more
// than a share of their pixels, are new, or are not there any more. It fails where any is.
func compare(out io.Writer, earlier, later string, share float64) error {
	var names []string
	for _, dir := range []string{earlier, later} {
		list, err := filepath.Glob(filepath.Join(dir, "*.png"))
		if err != nil {
			return err
		}
		for _, file := range list {
			names = append(names, filepath.Base(file))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	differ := 0
	for _, name := range names {
		told, err := tell(filepath.Join(earlier, name), filepath.Join(later, name), share)
		if err != nil {
			return err
		}
		if told != "" {
			differ++
			fmt.Fprintln(out, name, told)
		}
	}
	if differ > 0 {
		return fmt.Errorf("%d of %d pictures are not as they were", differ, len(names))
	}
	fmt.Fprintf(out, "%d pictures, all as they were\n", len(names))
	return nil
}

// tell how two pictures differ; "" for not so that anybody sees it.
func tell(earlier, later string, share float64) (string, error) {
	old, missing := os.ReadFile(earlier)
	fresh, gone := os.ReadFile(later)
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		return "is new", nil
	case errors.Is(gone, fs.ErrNotExist):
		return "is not there any more", nil
	case missing != nil || gone != nil || bytes.Equal(old, fresh):
		return "", errors.Join(missing, gone)
	}
	before, err := png.Decode(bytes.NewReader(old))
	if err != nil {
		return "", fmt.Errorf("read picture %s: %w", earlier, err)
	}
	after, err := png.Decode(bytes.NewReader(fresh))
	if err != nil {
		return "", fmt.Errorf("read picture %s: %w", later, err)
	}
	if before.Bounds() != after.Bounds() {
		return fmt.Sprintf("is %v pixels, was %v", after.Bounds().Size(), before.Bounds().Size()), nil
	}
	if part := different(before, after); part > share {
		return fmt.Sprintf("differs in %.2f %% of its pixels", 100*part), nil
	}
	return "", nil
}

// different is the share of pixels that look different in two pictures of one size.
func different(a, b image.Image) float64 {
	apart := func(x, y uint32) bool { return max(x, y)-min(x, y) > same }
	n, box := 0, a.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if apart(r, r2) || apart(g, g2) || apart(b1, b2) {
				n++
			}
		}
	}
	return float64(n) / float64(max(1, box.Dx()*box.Dy()))
}
