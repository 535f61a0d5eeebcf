package hooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Format of what a hook takes.
type Format string

const (
	// JSON is {"type", "timestamp", "from", "data"}, where data is the muster.Event.
	JSON Format = "json"
	// Slack is a message of an incoming webhook.
	Slack Format = "slack"
	// Teams is an Adaptive Card, as the workflow "when a webhook request is received"
	// takes it.
	Teams Format = "teams"
)

// Formats are all of them.
var Formats = []Format{JSON, Slack, Teams}

// ParseFormat reads a format; "" is JSON.
func ParseFormat(s string) (Format, error) {
	f := Format(s)
	if s == "" {
		f = JSON
	}
	if !slices.Contains(Formats, f) {
		return "", fmt.Errorf("format %q is none of json, slack, teams", s)
	}
	return f, nil
}

// message is the body of a request. Names that a host gave itself come into it: in a
// message they are plain text, and no link or mention can be made of them.
func (f Format) message(from string, e muster.Event) ([]byte, error) {
	type object map[string]any
	where := []string{from}
	if e.County != "" {
		where = append(where, "county "+string(e.County))
	}
	if e.Host != "" {
		where = append(where, "host "+string(e.Host))
	}
	footnote := strings.Join(append(where, e.At.UTC().Format(time.RFC3339)), " · ")
	switch f {
	case Slack:
		text := func(s string) object { return object{"type": "plain_text", "text": s, "emoji": false} }
		return json.Marshal(object{
			"text": escape.Replace(e.Text),
			"blocks": []object{
				{"type": "section", "text": text(e.Text)},
				{"type": "context", "elements": []object{text(footnote)}},
			},
		})
	case Teams:
		// A TextBlock would read Markdown; a TextRun does not.
		run := func(s string, more object) object {
			more["type"], more["text"] = "TextRun", s
			return object{"type": "RichTextBlock", "inlines": []object{more}}
		}
		return json.Marshal(object{
			"type": "message",
			"attachments": []object{{
				"contentType": "application/vnd.microsoft.card.adaptive",
				"content": object{
					"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
					"type":    "AdaptiveCard", "version": "1.4",
					"body": []object{run(e.Text, object{"weight": "bolder"}), run(footnote, object{"isSubtle": true, "size": "small"})},
				},
			}},
		})
	}
	return json.Marshal(struct {
		Type      string       `json:"type"`
		Timestamp time.Time    `json:"timestamp"`
		From      string       `json:"from"`
		Data      muster.Event `json:"data"`
	}{e.Kind, e.At.UTC(), from, e})
}

// escape is what Slack asks for in the text of a notification.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
