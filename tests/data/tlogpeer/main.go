// Logs as others have them: golang.org/x/mod/sumdb, torchwood, and formats of transparency-dev.
//
//	tlogpeer proofs MOST          roots and all proofs of logs of up to MOST entries, as JSON lines
//	tlogpeer read URL VKEY        reads a whole log over HTTP and checks every entry
//	tlogpeer write DIR SKEY SIZE… writes a log that grows to these sizes
//	tlogpeer cosign NAME SEED     cosigns the checkpoint on stdin
//	tlogpeer open VKEY WKEY       verifies the note on stdin by a log's and a witness's key
//	tlogpeer proven VKEY ENTRY    verifies the proof on stdin, that the entry is in the log
//	tlogpeer prove SKEY SIZE I    makes a proof that entry I is in a log of this size
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func check(err error) { must(0, err) }

func entry(i int64) []byte { return []byte(fmt.Sprintf("entry %d", i)) }

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

func grown(size int64) stored {
	var all stored
	for i := int64(0); i < size; i++ {
		all = append(all, must(tlog.StoredHashes(i, entry(i), all))...)
	}
	return all
}

func words[T ~[]tlog.Hash](hashes T) []string {
	found := []string{}
	for _, hash := range hashes {
		found = append(found, hex.EncodeToString(hash[:]))
	}
	return found
}

func proofs(most int64) {
	all := grown(most)
	out := json.NewEncoder(os.Stdout)
	for size := int64(1); size <= most; size++ {
		root := must(tlog.TreeHash(size, all))
		records, trees := [][]string{}, [][]string{}
		for i := int64(0); i < size; i++ {
			records = append(records, words(must(tlog.ProveRecord(size, i, all))))
			trees = append(trees, words(must(tlog.ProveTree(size, i+1, all))))
		}
		check(out.Encode(map[string]any{
			"size": size, "root": hex.EncodeToString(root[:]), "records": records, "trees": trees,
		}))
	}
}

func read(url, vkey string) {
	ctx := context.Background()
	fetcher := must(torchwood.NewTileFetcher(url))
	verifier := must(note.NewVerifier(vkey))
	signed := must(fetcher.ReadEndpoint(ctx, "checkpoint"))
	opened := must(note.Open(signed, note.VerifierList(verifier)))
	tree := must(torchwood.ParseCheckpoint(opened.Text))
	client := must(torchwood.NewClient(fetcher))
	next := int64(0)
	for next < tree.N {
		before := next
		for i, data := range client.Entries(ctx, tree.Tree, next) {
			if i != next || string(data) != string(entry(i)) {
				check(fmt.Errorf("entry %d is %q", i, data))
			}
			next++
		}
		check(client.Err())
		if next == before {
			check(fmt.Errorf("no entry after %d", next))
		}
	}
	for _, i := range []int64{0, tree.N / 3, tree.N - 1} {
		must2(client.Entry(ctx, tree.Tree, i))
	}
	hashes := torchwood.TileHashReaderWithContext(ctx, tree.Tree, fetcher)
	all := grown(tree.N)
	for _, old := range []int64{1, tree.N/2 + 1, tree.N} {
		proof := must(tlog.ProveTree(tree.N, old, hashes))
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old, must(tlog.TreeHash(old, all))))
	}
	fmt.Println(tree.Origin, tree.N, next)
}

func must2[T, U any](value T, _ U, err error) T { return must(value, err) }

func write(dir, skey string, sizes []string) {
	signer := must(note.NewSigner(skey))
	old := int64(0)
	for _, word := range sizes {
		size := number(word)
		all := grown(size)
		for _, tile := range tlog.NewTiles(torchwood.TileHeight, old, size) {
			put(dir, torchwood.TilePath(tile), must(tlog.ReadTileData(tile, all)))
			if tile.L != 0 {
				continue
			}
			var bundle []byte
			for i := range int64(tile.W) {
				bundle = must(torchwood.AppendTileEntry(bundle, entry(tile.N*torchwood.TileWidth+i)))
			}
			tile.L = -1
			put(dir, torchwood.TilePath(tile), bundle)
		}
		state := torchwood.Checkpoint{
			Origin: signer.Name(), Tree: tlog.Tree{N: size, Hash: must(tlog.TreeHash(size, all))},
		}
		put(dir, "checkpoint", must(note.Sign(&note.Note{Text: state.String()}, signer)))
		old = size
	}
}

func put(dir, name string, data []byte) {
	place := filepath.Join(dir, name)
	check(os.MkdirAll(filepath.Dir(place), 0o755))
	check(os.WriteFile(place, data, 0o644))
}

func cosign(name, seed string) {
	key := ed25519.NewKeyFromSeed(must(hex.DecodeString(seed)))
	signer := must(torchwood.NewCosignatureSigner(name, key))
	text := string(must(io.ReadAll(os.Stdin)))
	fmt.Println(signer.Verifier().String())
	fmt.Print(string(must(note.Sign(&note.Note{Text: text}, signer))))
}

// open verifies by Go's note package alone for the log; the witness's key becomes torchwood's verifier.
func open(vkey, wkey string) {
	parts := strings.SplitN(wkey, "+", 3)
	raw := must(base64.StdEncoding.DecodeString(parts[2]))
	witness := must(torchwood.NewCosignatureSigner(parts[0], public(raw[1:]))).Verifier()
	list := note.VerifierList(must(note.NewVerifier(vkey)), witness)
	opened := must(note.Open(must(io.ReadAll(os.Stdin)), list))
	for _, signature := range opened.Sigs {
		if signature.Name == parts[0] {
			fmt.Println(signature.Name, must(torchwood.CosignatureTimestamp(signature)))
		} else {
			fmt.Println(signature.Name)
		}
	}
}

func proven(vkey, data string) {
	var given proof.TLogProof
	check(given.Unmarshal(must(io.ReadAll(os.Stdin))))
	opened := must(note.Open(given.Checkpoint, note.VerifierList(must(note.NewVerifier(vkey)))))
	tree := must(torchwood.ParseCheckpoint(opened.Text))
	hashes := tlog.RecordProof{}
	for _, hash := range given.Hashes {
		hashes = append(hashes, hash)
	}
	index := int64(given.Index)
	check(tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash([]byte(data))))
	fmt.Println(tree.Origin, tree.N, index, string(given.ExtraData))
}

func prove(skey string, size, index int64) {
	all := grown(size)
	signer := must(note.NewSigner(skey))
	state := torchwood.Checkpoint{
		Origin: signer.Name(), Tree: tlog.Tree{N: size, Hash: must(tlog.TreeHash(size, all))},
	}
	made := proof.TLogProof{
		Index:      uint64(index),
		Checkpoint: must(note.Sign(&note.Note{Text: state.String()}, signer)),
		ExtraData:  []byte("extra"),
	}
	for _, hash := range must(tlog.ProveRecord(size, index, all)) {
		made.Hashes = append(made.Hashes, hash)
	}
	must(os.Stdout.Write(made.Marshal()))
}

func number(word string) int64 { return must(strconv.ParseInt(word, 10, 64)) }

func main() {
	switch words := os.Args[1:]; words[0] {
	case "proofs":
		proofs(number(words[1]))
	case "read":
		read(words[1], words[2])
	case "write":
		write(words[1], words[2], words[3:])
	case "cosign":
		cosign(words[1], words[2])
	case "open":
		open(words[1], words[2])
	case "proven":
		proven(words[1], words[2])
	case "prove":
		prove(words[1], number(words[2]), number(words[3]))
	default:
		check(fmt.Errorf("no command %s", words[0]))
	}
}
