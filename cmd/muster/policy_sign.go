package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/cmd/muster/internal/signing"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/policies/bundle"
)

// signFlags are the two ways to sign: a key in a file, or a command that has one.
type signFlags struct {
	out, key, command, public string
	secret                    passphrase
}

func newPolicySignCommand() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign FILE -o OUT {--key KEY | --sign-command COMMAND --pub PUB}",
		Short: "Sign a bundle that was built elsewhere",
		Long: `Sign a built bundle, or replace its signature. Look at it first: "muster policy inspect
FILE --against OLDER" shows what changed.

The key is a file of "muster policy keygen", or stays in hardware (a PKCS #11 token, a
YubiKey, a cloud's key service): --sign-command names a program and its arguments,
separated by spaces, without a shell. It gets the bytes to sign (the JWS signing input)
on standard input, and answers the ECDSA P-256 signature of their SHA-256 on standard
output, in DER or as 64 raw bytes. --pub is the public half of that key.`,
		Example: `  muster policy sign baseline.tar.gz --key policy-key.pem -o signed.tar.gz
  muster policy sign baseline.tar.gz --pub token.pub -o signed.tar.gz \
    --sign-command "pkcs11-tool --login --sign --mechanism ECDSA-SHA256 --signature-format openssl --id 01"`,
		Args: oneArg("the file of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			b, err := bundle.Open(data, bundle.OpenOptions{Unsigned: true})
			if err != nil {
				return err
			}
			signed, id, err := f.sign(cmd, data)
			if err != nil {
				return err
			}
			if err := durable.WriteFile(f.out, signed, 0o644); err != nil {
				return fmt.Errorf("write policy bundle: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: revision %s, version %d, digest %s, signed by key %s\n", f.out, b.Revision, b.Version, b.Digest, id)
			return nil
		},
	}
	exitStatus(cmd, `
  0  the signed bundle was written
  1  FILE is no bundle, or the signature does not fit; nothing was written
  2  usage, or the key is not usable`)
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "`FILE` for the signed bundle; may be the same")
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key")
	flags.StringVar(&f.command, "sign-command", "", "`COMMAND` that signs its standard input")
	flags.StringVar(&f.public, "pub", "", "`FILE` with the public key of --sign-command")
	f.secret.register(flags)
	_ = cmd.MarkFlagRequired("out") // fails only for a flag that is not there
	return cmd
}

// sign gives the signed bundle and the id of the key.
func (f *signFlags) sign(cmd *cobra.Command, data []byte) (signed []byte, id string, err error) {
	if f.command != "" {
		if f.key != "" {
			return nil, "", usage(cmd, errors.New("--key and --sign-command exclude each other"))
		}
		if f.public == "" {
			return nil, "", usage(cmd, errors.New("--sign-command needs --pub, the public half of its key"))
		}
		public, err := readPublicKey(f.public)
		if err != nil {
			return nil, "", &exitError{exitUsage, err}
		}
		signed, err := bundle.SignWith(data, public, signing.Command(cmd.Context(), f.command, cmd.ErrOrStderr()))
		return signed, bundle.KeyID(public), err
	}
	if f.key == "" {
		return nil, "", usage(cmd, errors.New("nothing to sign with: give --key, or --sign-command and --pub"))
	}
	return signWithFile(data, f.key, f.secret)
}

func signWithFile(data []byte, name string, secret passphrase) (signed []byte, id string, err error) {
	key, err := readSigningKey(name, secret)
	if err != nil {
		return nil, "", &exitError{exitUsage, err}
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", err
	}
	signed, err = bundle.Sign(data, key)
	return signed, bundle.KeyID(public), err
}
