// Package doortest is an OpenID Connect provider on loopback and a certificate, for
// tests of the collector's dashboard with TLS.
package doortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientID and Secret of the one client that a Provider knows.
const (
	ClientID = "muster-collector"
	Secret   = "client secret"
)

// Provider vouches for one person, and signs what it is told to.
type Provider struct {
	*httptest.Server
	Key *rsa.PrivateKey
	now func() time.Time

	mu     sync.Mutex
	codes  map[string]url.Values // of the requests that they answer
	claims map[string]any
	sign   Signer
	tokens int
}

// Signer makes an ID token of the claims.
type Signer func(t *testing.T, claims []byte) string

// New starts a provider that ends with the test. Its person is vera@state.example, of the
// groups muster-viewers and staff.
func New(t *testing.T, now func() time.Time) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p := &Provider{Key: key, now: now, codes: map[string]url.Values{}}
	p.sign = p.honest
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		must(t, json.NewEncoder(w).Encode(v))
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q, code := r.URL.Query(), rand.Text()
		if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		p.codes[code] = q
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tokens++
		q, known := p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !known || id != ClientID || secret != url.QueryEscape(Secret) || q.Get("redirect_uri") != r.PostFormValue("redirect_uri") ||
			q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{"iss": p.URL, "sub": "42", "aud": ClientID, "exp": p.now().Add(time.Minute).Unix(), "iat": p.now().Unix(),
			"nonce": q.Get("nonce"), "email": "Vera@State.example", "email_verified": true, "groups": []string{"muster-viewers", "staff"}}
		for k, v := range p.claims {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		payload, err := json.Marshal(claims)
		must(t, err)
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": p.sign(t, payload)})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// Vouch sets what the next tokens say beside the usual, nil for what they leave out, and
// how they are signed; nil is as they should be.
func (p *Provider) Vouch(claims map[string]any, sign Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sign == nil {
		sign = p.honest
	}
	p.claims, p.sign = claims, sign
}

// Tokens is how many were asked for.
func (p *Provider) Tokens() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens
}

func (p *Provider) honest(t *testing.T, claims []byte) string {
	return Sign(t, jose.RS256, p.Key, "k1", claims)
}

// Sign makes a token with any key; the provider's own has the id k1.
func Sign(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, claims []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	must(t, err)
	jws, err := signer.Sign(claims)
	must(t, err)
	raw, err := jws.CompactSerialize()
	must(t, err)
	return raw
}

// Certificate writes a new one for 127.0.0.1 and its key, and returns what trusts it.
func Certificate(t *testing.T, name, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return pool
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
