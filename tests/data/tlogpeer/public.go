package main

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
)

// public is a key that can't sign: torchwood makes a verifier out of a signer's public half only.
type public []byte

func (p public) Public() crypto.PublicKey { return ed25519.PublicKey(p) }

func (p public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the private half is not here")
}
