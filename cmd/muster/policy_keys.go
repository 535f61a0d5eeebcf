package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/cmd/muster/internal/signing"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/policies/bundle"
)

const (
	passphraseVariable = "MUSTER_KEY_PASSPHRASE"
	minPassphrase      = 12 // bytes of a new one
)

func newPolicyKeygenCommand() *cobra.Command {
	var out string
	var secret passphrase
	var none bool
	cmd := &cobra.Command{
		Use:   "keygen [-o FILE]",
		Short: "Make the key that signs policy bundles",
		Long: `Make the key that signs policy bundles (ECDSA P-256), and beside it FILE.pub, which
hosts trust. The key is encrypted under a passphrase: asked on the terminal, or taken
from --passphrase-file or the variable ` + passphraseVariable + `. Keep the key on media
that no network reaches: whoever has it decides what every host is judged by. An
existing file is never overwritten.

The file is PKCS #8 (RFC 8018: PBKDF2-HMAC-SHA256, AES-256-CBC), which openssl reads.
A key that never leaves its hardware is better still: see "muster policy sign".`,
		Example: `  muster policy keygen -o policy-key.pem
  openssl pkey -in policy-key.pem -noout -text`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if none && secret.file != "" {
				return usage(cmd, errors.New("--no-passphrase and --passphrase-file exclude each other"))
			}
			for _, path := range []string{out, out + ".pub"} {
				if _, err := os.Lstat(path); err == nil {
					return &exitError{exitUsage, fmt.Errorf("%s exists: choose another name, a lost key cannot be replaced", path)}
				}
			}
			var words []byte
			if !none {
				var err error
				if words, err = secret.choose(); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			id, err := makeKey(out, words)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key %s in %s, for hosts %s.pub\n", id, out, out)
			if none {
				fmt.Fprintf(cmd.ErrOrStderr(), "muster: warning: %s is not encrypted: whoever copies it can sign\n", out)
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  both files were written
  1  they could not be made or written
  2  usage, a file of the name exists, or there is no passphrase`)
	cmd.Flags().StringVarP(&out, "out", "o", "policy-key.pem", "`FILE` for the private key")
	cmd.Flags().BoolVar(&none, "no-passphrase", false, "write the key unencrypted, for tests")
	secret.register(cmd.Flags())
	return cmd
}

func makeKey(out string, passphrase []byte) (id string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make policy key: %w", err)
	}
	private, err := signing.MarshalKey(key, passphrase)
	if err != nil {
		return "", fmt.Errorf("make policy key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", fmt.Errorf("make policy key: %w", err)
	}
	if err := durable.WriteFile(out, private, 0o600); err != nil {
		return "", fmt.Errorf("write policy key: %w", err)
	}
	if err := durable.WriteFile(out+".pub", signing.MarshalPublic(public), 0o644); err != nil {
		return "", fmt.Errorf("write public policy key: %w", err)
	}
	return bundle.KeyID(public), nil
}

// passphrase is where the words come from that encrypt a key: a file, a
// variable, or a person at the terminal.
type passphrase struct{ file, variable string }

func (p *passphrase) register(flags *pflag.FlagSet) {
	p.variable = passphraseVariable
	flags.StringVar(&p.file, "passphrase-file", "", "read the passphrase of the key from this `FILE` (default: $"+passphraseVariable+", else the terminal)")
}

// given is the passphrase from the file or the variable; nil where there is none.
func (p *passphrase) given() ([]byte, error) {
	if p.file != "" {
		text, err := os.ReadFile(p.file)
		if err != nil {
			return nil, fmt.Errorf("read the passphrase: %w", err)
		}
		if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 {
			return nil, fmt.Errorf("read the passphrase: %s is empty", p.file)
		}
		return text, nil
	}
	if text := os.Getenv(p.variable); p.variable != "" && text != "" {
		return []byte(text), nil
	}
	return nil, nil
}

// ask gives the passphrase of a key that exists.
func (p *passphrase) ask(key string) ([]byte, error) {
	if text, err := p.given(); text != nil || err != nil {
		return text, err
	}
	return prompt("Passphrase of " + key + ": ")
}

// choose gives the passphrase for a new key.
func (p *passphrase) choose() ([]byte, error) {
	text, err := p.given()
	if text == nil && err == nil {
		if text, err = prompt("New passphrase: "); err != nil {
			return nil, err
		}
		again, err := prompt("Once more: ")
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(text, again) {
			return nil, errors.New("the passphrases differ: try again")
		}
	}
	if err == nil && len(text) < minPassphrase {
		err = fmt.Errorf("the passphrase is shorter than %d characters: take a few words", minPassphrase)
	}
	return text, err
}

// prompt asks the person at the terminal, without showing what is typed.
func prompt(text string) ([]byte, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil, agent.NewInputError(errors.New("there is no terminal to ask for the passphrase"), "give --passphrase-file, or set "+passphraseVariable)
	}
	fmt.Fprint(os.Stderr, text)
	defer fmt.Fprintln(os.Stderr)
	words, err := term.ReadPassword(in)
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	return words, nil
}

func readSigningKey(name string, secret passphrase) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read policy key: %w", err)
	}
	key, err := signing.ParseKey(text, func() ([]byte, error) { return secret.ask(name) })
	if err != nil {
		return nil, fmt.Errorf("read policy key %s: %w", name, err)
	}
	return key, nil
}

func readPublicKey(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	der, err := signing.ParsePublic(text)
	if err != nil {
		return nil, fmt.Errorf("read public key %s: %w", name, err)
	}
	return der, nil
}

func readPublicKeys(names []string) (keys [][]byte, err error) {
	for _, name := range names {
		der, err := readPublicKey(name)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		keys = append(keys, der)
	}
	return keys, nil
}
