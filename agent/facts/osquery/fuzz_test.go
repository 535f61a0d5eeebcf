package osquery

import (
	"context"
	"net"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzAnswer: whatever a daemon says, there are at most as many rows as asked
// for, of valid text, or an error; and after an error nothing is left over of
// the conversation.
func FuzzAnswer(f *testing.F) {
	const head = "\x80\x01\x00\x02\x00\x00\x00\x05query\x00\x00\x00\x01\x0c\x00\x00"
	const ok = "\x0c\x00\x01\x08\x00\x01\x00\x00\x00\x00\x00"
	f.Add([]byte(head + ok + "\x0f\x00\x02\x0d\x00\x00\x00\x01\x0b\x0b\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01\xff\x00\x00"))
	f.Add([]byte(head + ok + "\x0f\x00\x02\x0d\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte(head + "\x0f\x00\x02\x08\x3f\xff\xff\xff"))
	f.Add([]byte("\x80\x01\x00\x03\x00\x00\x00\x05query\x00\x00\x00\x01\x0b\x00\x01\x00\x00\x00\x01x\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			theirs.Read(make([]byte, 4096)) //nolint:errcheck // the question does not matter
			theirs.Write(said)              //nolint:errcheck // the client judges
			theirs.Close()
		}()
		e := &Engine{socket: "/nowhere", conn: newConnection(ours)}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		const limit = 3
		rows, err := e.Query(ctx, "SELECT 1", limit)
		if len(rows) > limit || err != nil && rows != nil {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows {
			for _, value := range row {
				if !utf8.ValidString(value) {
					t.Errorf("not text: %q", value)
				}
			}
		}
		if ctx.Err() != nil {
			t.Error("it hung")
		}
		e.hangUp()
		<-heard
	})
}
