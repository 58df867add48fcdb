package retrieval

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The truth is one bbolt file, index.db; everything else is rebuilt from it.
// Its buckets, keys and values:
//
//	meta     "schema"                      "1"
//	         "id"                          16 random bytes, by which the word index knows its index.db
//	sources  source id                     Source, JSON
//	chunks   source id, 0, n (be32)        Chunk, JSON
//	texts    source id                     order (be64), then 18 bytes a chunk: hash of its text, language
//	changes  seq (be64)                    count (be32), source id: word-index rows 0..count-1 of the source are out of date
//	vectors  name of a space               a bucket:
//	             "space"                   space, JSON
//	             hash of a text            its vectors, one a window, float32 little endian
//	retired  hash of a text                when its last chunk went (be64, Unix seconds)
//
// A document is replaced in one transaction, which appends its row to changes.
var (
	metaBucket    = []byte("meta")
	sourcesBucket = []byte("sources")
	chunksBucket  = []byte("chunks")
	textsBucket   = []byte("texts")
	changesBucket = []byte("changes")
	vectorsBucket = []byte("vectors")
	retiredBucket = []byte("retired")

	schemaKey = []byte("schema")
	idKey     = []byte("id")
	spaceKey  = []byte("space")
)

const schema = "1"

// openStore opens index.db at path, or makes it.
func openStore(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, errors.New("index.db is in use by another program")
	}
	if err != nil {
		return nil, fmt.Errorf("index.db: %w", err)
	}
	if err := db.Update(prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepare makes the buckets, and refuses a file of another schema.
func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{metaBucket, sourcesBucket, chunksBucket, textsBucket, changesBucket, vectorsBucket, retiredBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	if have := meta.Get(schemaKey); have != nil {
		if string(have) != schema {
			return fmt.Errorf("index.db has schema %s, this program knows %s: it was written by another version", have, schema)
		}
		return nil
	}
	id := make([]byte, 16)
	rand.Read(id)
	return errors.Join(meta.Put(schemaKey, []byte(schema)), meta.Put(idKey, id))
}

func chunkKey(source string, n int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(source), 0), uint32(n))
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// putSource writes a source and its chunks over what is stored of it, and
// returns the number of the change. The first old chunks were its own before.
func putSource(tx *bbolt.Tx, src Source, chunks []Chunk, marks []mark, old int) (seq uint64, err error) {
	raw, err := json.Marshal(src)
	if err != nil {
		return 0, err
	}
	if seq, err = putChange(tx, src.ID, max(old, len(chunks))); err != nil {
		return 0, err
	}
	if err := errors.Join(tx.Bucket(sourcesBucket).Put([]byte(src.ID), raw), tx.Bucket(textsBucket).Put([]byte(src.ID), encodeMarks(seq, marks))); err != nil {
		return 0, err
	}
	b := tx.Bucket(chunksBucket)
	for n, c := range chunks {
		raw, err := json.Marshal(c)
		if err != nil {
			return 0, err
		}
		if err := b.Put(chunkKey(src.ID, n), raw); err != nil {
			return 0, err
		}
	}
	return seq, deleteChunks(b, src.ID, len(chunks), old)
}

// deleteSource forgets a source and its chunks.
func deleteSource(tx *bbolt.Tx, id string, old int) (seq uint64, err error) {
	if seq, err = putChange(tx, id, old); err != nil {
		return 0, err
	}
	return seq, errors.Join(tx.Bucket(sourcesBucket).Delete([]byte(id)), tx.Bucket(textsBucket).Delete([]byte(id)), deleteChunks(tx.Bucket(chunksBucket), id, 0, old))
}

func deleteChunks(b *bbolt.Bucket, source string, from, to int) error {
	for n := from; n < to; n++ {
		if err := b.Delete(chunkKey(source, n)); err != nil {
			return err
		}
	}
	return nil
}

func putChange(tx *bbolt.Tx, source string, count int) (uint64, error) {
	b := tx.Bucket(changesBucket)
	seq, err := b.NextSequence()
	if err != nil {
		return 0, err
	}
	return seq, b.Put(seqKey(seq), append(binary.BigEndian.AppendUint32(nil, uint32(count)), source...))
}

// prune forgets the changes that the word index has seen.
func prune(tx *bbolt.Tx, seen uint64) error {
	b := tx.Bucket(changesBucket)
	for {
		k, _ := b.Cursor().First()
		if k == nil || binary.BigEndian.Uint64(k) > seen {
			return nil
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
}

// readChunk returns a chunk, or an error that wraps [ErrNotFound].
func readChunk(tx *bbolt.Tx, source string, n int) (c Chunk, err error) {
	raw := tx.Bucket(chunksBucket).Get(chunkKey(source, n))
	if raw == nil {
		return c, fmt.Errorf("chunk %s: %w", chunkID(source, n), ErrNotFound)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("chunk %s: %w", chunkID(source, n), err)
	}
	return c, nil
}

const markSize = len(hash{}) + 2

func encodeMarks(order uint64, marks []mark) []byte {
	out := binary.BigEndian.AppendUint64(make([]byte, 0, 8+markSize*len(marks)), order)
	for _, m := range marks {
		out = append(append(out, m.hash[:]...), m.language...)
	}
	return out
}

func decodeMarks(raw []byte) (order uint64, marks []mark, err error) {
	if len(raw) < 8 || (len(raw)-8)%markSize != 0 {
		return 0, nil, errors.New("its list of texts is damaged")
	}
	order, raw = binary.BigEndian.Uint64(raw), raw[8:]
	for ; len(raw) > 0; raw = raw[markSize:] {
		marks = append(marks, mark{hash(raw[:16]), string(raw[16:markSize])})
	}
	return order, marks, nil
}

// loadCatalog reads all sources, without their chunks.
func loadCatalog(tx *bbolt.Tx) (*catalog, error) {
	c := newCatalog()
	texts := tx.Bucket(textsBucket)
	err := tx.Bucket(sourcesBucket).ForEach(func(id, raw []byte) error {
		var src Source
		if err := json.Unmarshal(raw, &src); err != nil {
			return fmt.Errorf("source %s: %w", id, err)
		}
		order, marks, err := decodeMarks(texts.Get(id))
		if err != nil {
			return fmt.Errorf("source %s: %w", id, err)
		}
		c.put(src, order, marks)
		return nil
	})
	return c, err
}

// Vectors of one text are stored one after the other; the space knows their dimension.

func encodeVectors(vectors [][]float32) []byte {
	var out []byte
	for _, v := range vectors {
		for _, f := range v {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(f))
		}
	}
	return out
}

// decodeVectors returns nil for what is no vectors of that dimension.
func decodeVectors(raw []byte, dims int) [][]float32 {
	if dims == 0 || len(raw) == 0 || len(raw)%(4*dims) != 0 {
		return nil
	}
	all := make([]float32, len(raw)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	out := make([][]float32, 0, len(all)/dims)
	for ; len(all) > 0; all = all[dims:] {
		out = append(out, all[:dims:dims])
	}
	return out
}
