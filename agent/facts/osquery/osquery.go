// Package osquery answers statements with osqueryd, through its extension
// socket: one that runs on this computer, or one that Start runs for the
// audit alone. It is the only package of the agent that starts a process.
//
// The daemon is believed only where root (on Windows the system) owns it and
// nobody else can write to it. It is not asked for tables that can be pointed
// at secrets (facts.BuiltinOnly), nor for event tables, whose emptiness says
// nothing where events are off. Nothing it sends can hang this process or
// take more memory than an answer may have.
package osquery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const (
	// pingTimeout is how long a daemon that was silent once may take to say hello.
	pingTimeout = time.Second
	// maxText bounds one text in an answer.
	maxText = 1 << 20
	// maxRows and maxColumns bound what is set aside on the word of the daemon.
	maxRows, maxColumns = 1 << 17, 1 << 10
	// maxAnswer bounds the bytes of an answer; each row repeats the columns' names.
	maxAnswer = 3 * facts.MaxAnswerBytes
)

var errTooLarge = fmt.Errorf("the answer has more than %d MiB: narrow the statement", maxAnswer>>20)

// Engine asks one osqueryd. It is a facts.Engine.
type Engine struct {
	socket string
	conn   *connection // nil before the first statement and after a failure
	silent bool        // the last statement went unanswered
	daemon *daemon     // nil for a daemon that others started
}

// Dial connects to the extension socket (on Windows the named pipe) of an
// osqueryd. It refuses a socket that is not root's alone.
func Dial(ctx context.Context, socket string) (*Engine, error) {
	if err := trustSocket(socket); err != nil {
		return nil, fmt.Errorf("osquery socket %s: %w", socket, err)
	}
	e := &Engine{socket: socket}
	if err := e.ping(ctx); err != nil {
		return nil, fmt.Errorf("osquery socket %s: %w", socket, err)
	}
	return e, nil
}

// Name is "osquery".
func (e *Engine) Name() string { return "osquery" }

// Has reports whether the daemon may be asked for the table. It may still
// answer that it has none of the name.
func (e *Engine) Has(table string) bool {
	return !strings.HasPrefix(table, "muster_") && !strings.HasSuffix(table, "_events") && !facts.BuiltinOnly(table)
}

// Close hangs up, and ends the daemon where Start ran it.
func (e *Engine) Close() error {
	e.hangUp()
	if e.daemon != nil {
		return e.daemon.stop()
	}
	return nil
}

// Query runs one statement. Beside the errors of facts.Engine it returns one
// that wraps facts.ErrEngineLost where the daemon is gone or talks nonsense.
func (e *Engine) Query(ctx context.Context, statement string, limit int) ([]muster.Row, error) {
	limited, err := facts.Limited(statement, limit+1)
	if err != nil {
		return nil, err
	}
	if e.silent {
		// Busy with what it was asked last, or hung? A quick hello tells.
		if err := e.ping(ctx); err != nil {
			return nil, err
		}
	}
	var answer *osquery.ExtensionResponse
	err = e.exchange(ctx, func(c *osquery.ExtensionManagerClient) (err error) {
		answer, err = c.Query(ctx, limited)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case answer == nil || answer.Status == nil:
		e.hangUp()
		return nil, fmt.Errorf("osquery: %w: an answer without a status", facts.ErrEngineLost)
	case answer.Status.Code != 0:
		return nil, refusal(answer.Status.Message)
	case len(answer.Response) > limit:
		return nil, fmt.Errorf("the answer has more than %d rows: narrow the statement", limit)
	}
	rows := make([]muster.Row, len(answer.Response))
	for i, r := range answer.Response {
		for column, value := range r {
			r[column] = strings.ToValidUTF8(value, "\uFFFD")
		}
		rows[i] = r
	}
	return rows, nil
}

// refusal is the daemon's message as an error that callers can branch on.
func refusal(message string) error {
	switch {
	case strings.HasPrefix(message, "no such table"):
		return fmt.Errorf("osquery: %s: %w", message, facts.ErrUnavailable)
	case message == "not authorized":
		return fmt.Errorf("osquery: %s: %w", message, facts.ErrRefused)
	default:
		return fmt.Errorf("osquery: %s", message)
	}
}

// ping asks the daemon to say hello, on a new connection.
func (e *Engine) ping(ctx context.Context) error {
	e.hangUp()
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := e.exchange(ctx, func(c *osquery.ExtensionManagerClient) error {
		_, err := c.Ping(ctx)
		return err
	})
	if err != nil && !errors.Is(err, facts.ErrEngineLost) {
		err = fmt.Errorf("%w: %w", facts.ErrEngineLost, err)
	}
	e.silent = err != nil
	return err
}

// exchange makes one call, on the connection or a new one, and hangs up when
// the context ends or anything is amiss: what comes later belongs to nobody.
func (e *Engine) exchange(ctx context.Context, call func(*osquery.ExtensionManagerClient) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.conn == nil {
		conn, err := dial(ctx, e.socket)
		if err != nil {
			return fmt.Errorf("osquery: %w: %w", facts.ErrEngineLost, err)
		}
		e.conn = newConnection(conn)
	}
	c := e.conn
	c.left = maxAnswer
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := call(c.client)
	if stop() && err == nil {
		return nil
	}
	e.hangUp()
	switch {
	case ctx.Err() != nil:
		e.silent = true
		return ctx.Err()
	case err == nil:
		return nil
	case c.left < 0:
		return errTooLarge
	default:
		return fmt.Errorf("osquery: %w: %w", facts.ErrEngineLost, err)
	}
}

func (e *Engine) hangUp() {
	if e.conn != nil {
		e.conn.Close()
		e.conn = nil
	}
}

// connection is one conversation with the daemon, bounded in what it may send.
type connection struct {
	net.Conn
	left   int
	client *osquery.ExtensionManagerClient
}

func newConnection(conn net.Conn) *connection {
	c := &connection{Conn: conn}
	transport := thrift.NewStreamTransportRW(struct {
		io.Reader
		io.Writer
	}{c, conn})
	limits := &thrift.TConfiguration{MaxMessageSize: maxText, MaxFrameSize: maxText}
	p := protocol{thrift.NewTBinaryProtocolConf(transport, limits)}
	c.client = osquery.NewExtensionManagerClientProtocol(transport, p, p)
	return c
}

// protocol refuses counts that no answer has, before memory is set aside for them.
type protocol struct{ thrift.TProtocol }

func (p protocol) ReadListBegin(ctx context.Context) (thrift.TType, int, error) {
	kind, n, err := p.TProtocol.ReadListBegin(ctx)
	return kind, n, plausible(n, maxRows, err)
}

func (p protocol) ReadMapBegin(ctx context.Context) (key, value thrift.TType, n int, err error) {
	key, value, n, err = p.TProtocol.ReadMapBegin(ctx)
	return key, value, n, plausible(n, maxColumns, err)
}

func plausible(n, most int, err error) error {
	if err == nil && n > most {
		return fmt.Errorf("%d entries are announced, %d are plausible", n, most)
	}
	return err
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left -= n; c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
