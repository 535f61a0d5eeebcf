package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret signs what is sent: 24 to 64 bytes.
type Secret []byte

// ParseSecrets reads secrets in base64, one a line, with or without whsec_ before it.
// While a receiver goes from one to the next, both sign.
func ParseSecrets(text []byte) ([]Secret, error) {
	var list []Secret
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimPrefix(strings.TrimSpace(line), "whsec_"); line == "" {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(b) < 24 || len(b) > 64 { // the error's words may hold the secret
			return nil, fmt.Errorf("line %d is not 24 to 64 bytes in base64: openssl rand -base64 32 makes a secret", n)
		}
		list = append(list, b)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no secret in it: openssl rand -base64 32 makes one")
	}
	return list, nil
}

// sign gives the header of Standard Webhooks.
func sign(secrets []Secret, id string, at time.Time, body []byte) string {
	var list []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " ")
}
