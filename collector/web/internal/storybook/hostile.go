package storybook

import (
	"cmp"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Hostile are texts that no page may be harmed by, by name.
func Hostile() map[string]string {
	return map[string]string{
		"script":    `"><script>alert(1)</script><img src=x onerror=alert(1)>' onfocus=alert(1) x=' {{.Site}} </title></textarea></select></bdi> &lt; ]]> -->`,
		"address":   `javascript:alert(1)//../..@x.example#y`,
		"right":     "שלום \u202Efdp.exe \u2067after\u2066 \u200F",
		"zerowidth": "CLERK\u200B-01\u2060\uFEFF\u00AD\uFE0F\u3164\u2800 \u00A0\u2003\t\n ",
		"emoji":     "\U0001F469\u200D\U0001F467 \U0001F3F4\U000E0067\U000E007F ❤\uFE0F \U0001F44D\U0001F3FF Z" + strings.Repeat("\u0335\u0489", 6),
		"control":   "a\x00b\x1b[31mc\x9b\u0085\u2028d\xff",
		"long":      strings.Repeat("W", 10000),
	}
}

// ExampleOf is the invented state with a text in every place that a host, a county or
// someone who signs in fills: in every text but ids, codes and what the collector writes
// itself. Of the names by which things are told apart every third is the text, so that
// the pages stay full.
func ExampleOf(text string, now time.Time) *Book {
	b := Example(now)
	worst := b.Worst()
	for i := range b.Fleet {
		if h := &b.Fleet[i]; h.ID == worst.ID { // with all that its page can say
			h.Conflict, h.Replaces, h.AuditWanted = true, b.Fleet[i+1].ID, now.Add(-time.Hour)
			b.Fleet[i+1].ReplacedBy = h.ID
		}
	}
	own := muster.FindingStanding{Host: worst.ID, Control: text, Status: muster.StatusFail, Since: now.Add(-time.Hour)}
	b.Findings = append(b.Findings, own)
	b.Transitions = slices.Insert(b.Transitions, 0, muster.Transition{Host: own.Host, Control: text, From: muster.StatusPass, To: own.Status, Seq: worst.Seq, ReceivedAt: own.Since})
	b.Evidence[worst.ID][text] = muster.Evidence{}
	for control := range b.Evidence[worst.ID] {
		b.Evidence[worst.ID][control] = muster.Evidence{Violations: make([]muster.Violation, 1), Notes: make([]string, 1)}
	}
	b.Asked[0].County, b.Asked[0].Host, b.Asked[2].County, b.Asked[2].Host = worst.County, worst.ID, worst.County, worst.ID
	b.People[worst.County] = make([]muster.Contact, 1)
	b.Absent = append(b.Absent, muster.ExpectedHost{County: worst.County, Since: now})
	b.Steps[worst.ID] = append(b.Steps[worst.ID], muster.CustodyEvent{At: now.Add(-time.Hour), Host: worst.ID, From: 1, To: 2})
	b.Waivers = append(b.Waivers, muster.Waiver{Control: text, Host: worst.ID, Approved: now, Expires: now.AddDate(0, 0, 9)})
	b.Attestations = append(b.Attestations, muster.Attestation{County: worst.County, On: now, Until: now.AddDate(0, 0, 9)})
	n := 0
	for _, list := range []any{b.Fleet, b.Findings, b.Transitions, b.Evidence, b.Policies, b.Absent, b.Waivers, b.Held, b.Attestations,
		b.Steps, b.Happened, b.Logged, b.People, b.Asked, b.Uploads} {
		fill(reflect.ValueOf(list), "", text, &n)
	}
	return b
}

// HostilePaths are addresses of the page of a pattern: its own, and with the text in every
// place that an address has for one.
func (b *Book) HostilePaths(pattern, text string) []string {
	list := b.Paths([]string{pattern})
	if len(list) == 0 {
		return nil
	}
	words, instant := url.Values{}, url.Values{"as_of": {text}, "known": {text}}
	for _, name := range []string{"q", "who", "what", "left", "control", "host", "since", "way", "by", "done"} {
		words.Set(name, text)
	}
	list = append(list, list[0]+"?"+words.Encode(), list[0]+"?"+instant.Encode())
	if before, after, ok := strings.Cut(strings.TrimPrefix(pattern, "GET "), "{"); ok && after != "$}" {
		_, after, _ = strings.Cut(after, "}")
		list = append(list, before+url.PathEscape(text)+after)
	}
	return list
}

// fill puts the text into what a value holds; n counts what it passed by.
func fill(v reflect.Value, field, text string, n *int) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), field, text, n)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
		for _, key := range keys {
			one := reflect.New(v.Type().Elem()).Elem()
			one.Set(v.MapIndex(key))
			fill(one, field, text, n)
			v.SetMapIndex(key, one)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(v.Field(i), f.Name, text, n)
			}
		}
	case reflect.String:
		switch v.Interface().(type) {
		case string, muster.Profile, muster.Platform:
		default: // ids, codes of counties, and words of the collector's own
			return
		}
		if slices.Contains([]string{"Waits", "Policy", "Digest", "Action", "Code", "Problem", "Return", "Kind"}, field) {
			return
		}
		if *n++; *n%3 != 0 && slices.Contains([]string{"Control", "Waiver", "PolicyDigest", "Profile", "Act", "By"}, field) {
			return
		}
		v.SetString(text)
	}
}
