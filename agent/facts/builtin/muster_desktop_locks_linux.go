package builtin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// desktopSetting is a value with the file that it is from.
type desktopSetting struct {
	key, value, source string
	locked             bool
}

func desktopRows(schema string, settings []desktopSetting) (rows []muster.Row) {
	for _, s := range settings {
		rows = append(rows, muster.Row{"schema": schema, "key": s.key, "value": s.value, "source": s.source, "locked": flag(s.locked)})
	}
	return rows
}

// override gives the setting of that key a new value, unless it is locked. A
// key that is not known is left out.
func override(settings []desktopSetting, by desktopSetting) {
	for i, s := range settings {
		if s.key == by.key && !s.locked {
			settings[i] = by
		}
	}
}

// plasmaLock is Plasma's screen lock: Timeout counts minutes, LockGrace seconds.
// The person's file comes after the system's, except for what the system's
// marks as immutable with [$i].
func (h host) plasmaLock(who account) ([]muster.Row, error) {
	if !h.exists("/usr/bin/startplasma-wayland") && !h.exists("/usr/bin/startplasma-x11") {
		return nil, nil
	}
	const byDefault = "default of Plasma"
	settings := []desktopSetting{{key: "Autolock", value: "true", source: byDefault}, {key: "Timeout", value: "5", source: byDefault},
		{key: "LockGrace", value: "5", source: byDefault}, {key: "LockOnResume", value: "true", source: byDefault}}
	for _, path := range personalFiles(who, "/etc/xdg/", ".config/", "kscreenlockerrc") {
		text, err := h.homeText(who.uid, path)
		if err != nil {
			return nil, err
		}
		for _, s := range parseKConfig(text, "Daemon") {
			s.source = path
			override(settings, s)
		}
	}
	return desktopRows("kde.screenlocker", settings), nil
}

// personalFiles are the system's file and, if who is somebody, the person's own.
func personalFiles(who account, system, own, file string) []string {
	if who.home == "" {
		return []string{system + file}
	}
	return []string{system + file, who.home + "/" + own + file}
}

// parseKConfig reads the settings of one group. [$i] after a key, after the
// group or before everything locks them; other [marks] of a key are dropped.
func parseKConfig(text, group string) []desktopSetting {
	const immutable = "[$i]"
	var settings []desktopSetting
	inGroup, fileLocked, groupLocked := false, false, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line == immutable:
			fileLocked = true
		case line[0] == '[':
			header, locked := strings.CutSuffix(line, immutable)
			inGroup, groupLocked = header == "["+group+"]", locked
		case inGroup:
			key, value, ok := strings.Cut(line, "=")
			key, marks, _ := strings.Cut(key, "[")
			if ok {
				settings = append(settings, desktopSetting{key: strings.TrimSpace(key), value: strings.TrimSpace(value),
					locked: fileLocked || groupLocked || strings.Contains("["+marks, "[$i")})
			}
		}
	}
	return settings
}

const xfceFile = "xfce4/xfconf/xfce-perchannel-xml/xfce4-screensaver.xml"

// xfceLock is the screen lock of Xfce: its delays count minutes. The person's
// file comes after the system's, except for what that locks.
func (h host) xfceLock(who account) ([]muster.Row, error) {
	if !h.exists("/usr/bin/xfce4-screensaver") {
		return nil, nil
	}
	const byDefault = "default of Xfce"
	settings := []desktopSetting{{key: "saver/enabled", value: "true", source: byDefault},
		{key: "saver/idle-activation/enabled", value: "true", source: byDefault},
		{key: "saver/idle-activation/delay", value: "5", source: byDefault},
		{key: "lock/enabled", value: "true", source: byDefault},
		{key: "lock/saver-activation/enabled", value: "true", source: byDefault},
		{key: "lock/saver-activation/delay", value: "0", source: byDefault}}
	for _, path := range personalFiles(who, "/etc/xdg/", ".config/", xfceFile) {
		text, err := h.homeText(who.uid, path)
		if err != nil {
			return nil, err
		}
		own, err := parseXfconf(text, who.name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		for _, s := range own {
			s.source = path
			override(settings, s)
		}
	}
	return desktopRows("xfce.screensaver", settings), nil
}

// parseXfconf reads a channel's properties, whose names are nested by /. One is
// locked where it, or what it lies in, names the person or everyone.
func parseXfconf(text, person string) ([]desktopSetting, error) {
	var settings []desktopSetting
	var open []desktopSetting // the elements around the place that is read
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return settings, nil
		}
		if err != nil {
			return nil, err
		}
		switch e := token.(type) {
		case xml.StartElement:
			if len(open) >= maxNesting {
				return nil, errors.New("properties are nested too deep")
			}
			s := desktopSetting{}
			if len(open) > 0 {
				s = open[len(open)-1]
			}
			if e.Name.Local == "property" {
				s.key = strings.TrimPrefix(s.key+"/"+attribute(e, "name"), "/")
				s.value = attribute(e, "value")
			}
			locked := strings.Split(attribute(e, "locked"), ";")
			s.locked = s.locked || slices.Contains(locked, "*") || person != "" && slices.Contains(locked, person)
			open = append(open, s)
			if s.value != "" && e.Name.Local == "property" {
				settings = append(settings, s)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
