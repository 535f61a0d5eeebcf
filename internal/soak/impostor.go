package main

import (
	"bytes"
	"crypto/ecdsa"
	"io"
	"net/http"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// stranger speaks the host API as a collector does, keeps nothing, and signs
// receipts with a key that no host trusts.
type stranger struct{ key *ecdsa.PrivateKey }

func (s stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer bytes.Buffer
	var err error
	kind := wire.TypeCBOR
	switch r.URL.Path {
	case "/v1/enroll":
		err = put(&answer, wire.EnrollAnswer{State: muster.HostActive})
	case "/v1/checkin":
		err = put(&answer, wire.CheckinAnswer{Now: time.Now(), NextSeconds: 60})
	case "/v1/reports":
		kind = wire.TypeSeq
		err = s.reports(r.Body, &answer)
	default:
		err = http.ErrNotSupported
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(answer.Bytes()) // an agent that has gone needs no answer
}

func put(w io.Writer, v any) error {
	b, err := wire.Marshal(v)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

func (s stranger) reports(body io.Reader, answer io.Writer) error {
	in, err := wire.NewSeqReader(body, wire.MaxFrame, wire.MaxBatch)
	if err != nil {
		return err
	}
	out := wire.NewSeqWriter(answer)
	for {
		var f wire.Frame
		if err := in.Read(&f); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		o := wire.Outcome{Host: f.Host, Seq: f.Seq, Code: wire.CodeNeedBase}
		if envelope, err := wire.OpenFrame(&f, nil, 0); err == nil {
			o.Code = wire.CodeStored
			o.Receipt, err = wire.SignReceipt(muster.Receipt{Host: f.Host, Seq: f.Seq, Digest: wire.EnvelopeDigest(envelope), ReceivedAt: time.Now()}, s.key)
			if err != nil {
				return err
			}
		}
		if err := out.Write(o); err != nil {
			return err
		}
	}
}
