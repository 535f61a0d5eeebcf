package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	earlier, later := t.TempDir(), t.TempDir()
	paint := func(dir, name string, height, black int, shade uint8) {
		t.Helper()
		picture := image.NewGray(image.Rect(0, 0, 100, height))
		for i := range picture.Pix {
			picture.Pix[i] = shade
		}
		for x := range black {
			picture.Set(x, 0, color.Black)
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, picture); err != nil {
			t.Fatal(err)
		}
	}
	paint(earlier, "same.png", 100, 0, 250)
	paint(later, "same.png", 100, 9, 245) // a little paler, and 9 of 10,000 pixels black
	var said strings.Builder
	if err := compare(&said, earlier, later, 0.001); err != nil || said.String() != "1 pictures, all as they were\n" {
		t.Errorf("%q %v", &said, err)
	}
	paint(earlier, "changed.png", 100, 0, 250)
	paint(later, "changed.png", 100, 50, 250)
	paint(earlier, "gone.png", 100, 0, 250)
	paint(later, "new.png", 100, 0, 250)
	paint(earlier, "size.png", 100, 0, 250)
	paint(later, "size.png", 120, 0, 250)
	said.Reset()
	err := compare(&said, earlier, later, 0.001)
	const want = "changed.png differs in 0.50 % of its pixels\ngone.png is not there any more\nnew.png is new\nsize.png is (100,120) pixels, was (100,100)\n"
	if err == nil || err.Error() != "4 of 5 pictures are not as they were" || said.String() != want {
		t.Errorf("%s %v", &said, err)
	}
	if err := os.WriteFile(filepath.Join(later, "same.png"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compare(&said, earlier, later, 0.001); err == nil || !strings.Contains(err.Error(), "same.png") {
		t.Errorf("junk: %v", err)
	}
}
