package wire

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsgLacks are the versions that Kafka 4.4 defines and kmsg doesn't know: they
// have no oracle, and only the fuzz target sees them.
var kmsgLacks = map[string][]int16{
	"InitProducerId": {6}, // unstable in 4.4: no broker offers it
}

// newerTags are tagged fields that Kafka has from a version on and kmsg writes
// in every flexible version, by kmsg's name.
var newerTags = map[string]int16{
	"ProduceResponse.Brokers":                       10,
	"ProduceResponseTopicPartition.CurrentLeader":   10,
	"FetchRequest.ReplicaState":                     15,
	"FetchRequestTopicPartition.ReplicaDirectoryID": 17,
	"FetchRequestTopicPartition.HighWatermark":      18,
	"FetchResponse.Brokers":                         16,
}

// side is a request or a response.
type side struct {
	name   string
	newOur func(key int16) Message
	newOne func(key, version int16) oracle
}

// oracle is what kmsg's requests and responses have in common.
type oracle interface {
	SetVersion(int16)
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

var sides = []side{
	{"Request", NewRequest, func(key, version int16) oracle {
		m := kmsg.RequestForKey(key)
		m.SetVersion(version)
		return m
	}},
	{"Response", NewResponse, func(key, version int16) oracle {
		m := kmsg.ResponseForKey(key)
		m.SetVersion(version)
		return m
	}},
}

// generatedAPIs are the APIs that the codec has.
func generatedAPIs() []API {
	var list []API
	for key := range int16(200) {
		if api, ok := LookupAPI(key); ok && NewRequest(key) != nil {
			list = append(list, api)
		}
	}
	return list
}

// eachOracle runs f for every version of every message that kmsg knows.
func eachOracle(t *testing.T, f func(t *testing.T, api API, s side, version int16)) {
	apis := generatedAPIs()
	if len(apis) < 19 {
		t.Fatalf("only %d APIs are generated", len(apis))
	}
	for _, api := range apis {
		newest := kmsg.RequestForKey(api.Key).MaxVersion()
		for v := newest + 1; v <= api.Latest; v++ {
			if !slices.Contains(kmsgLacks[api.Name], v) {
				t.Errorf("kmsg doesn't know %s version %d, and kmsgLacks doesn't say so", api.Name, v)
			}
		}
		for _, s := range sides {
			for v := api.Min; v <= min(api.Latest, newest); v++ {
				t.Run(fmt.Sprintf("%s%s/v%d", api.Name, s.name, v), func(t *testing.T) { f(t, api, s, v) })
			}
		}
	}
}

// TestOracle has kmsg encode random messages, decodes them, compares every
// field, and encodes them again to the same bytes. One struct is used for all
// seeds, so that what an earlier message left behind would show.
func TestOracle(t *testing.T) {
	eachOracle(t, func(t *testing.T, api API, s side, version int16) {
		reused, w := s.newOur(api.Key), new(Writer)
		for seed := range uint64(40) {
			f := filler{rng: rand.New(rand.NewPCG(seed, uint64(api.Key))), version: version}
			want := f.message(s.newOne(api.Key, version))
			theirs := want.AppendTo(nil)
			fresh := s.newOur(api.Key)
			for _, m := range []Message{fresh, reused} {
				r := NewReader(theirs)
				if err := m.Decode(r, version); err != nil {
					t.Fatalf("seed %d: %v\nmessage % x", seed, err, theirs)
				}
				if r.Remaining() != 0 {
					t.Fatalf("seed %d: %d bytes not decoded", seed, r.Remaining())
				}
				w.Reset()
				m.Encode(w, version)
				if w.Err() != nil || !bytes.Equal(w.Bytes(), theirs) || w.Size() != int64(len(theirs)) {
					t.Fatalf("seed %d: encoded again it differs (error %v)\n got % x\nwant % x", seed, w.Err(), w.Bytes(), theirs)
				}
			}
			if d := difference(reflect.ValueOf(reused), reflect.ValueOf(fresh)); d != "" {
				t.Fatalf("seed %d: decoding into a used struct: %s", seed, d)
			}
			back := s.newOne(api.Key, version)
			if err := back.ReadFrom(theirs); err != nil {
				t.Fatal(err)
			}
			if d := compare(reflect.ValueOf(fresh).Elem(), reflect.ValueOf(back).Elem(), version); d != "" {
				t.Fatalf("seed %d: %s", seed, d)
			}
		}
	})
}

// TestShortElements: a length is refused when that many of the shortest
// elements don't fit what is left, so these must be taken.
func TestShortElements(t *testing.T) {
	eachOracle(t, func(t *testing.T, api API, s side, version int16) {
		for seed := range uint64(20) {
			f := filler{rng: rand.New(rand.NewPCG(seed, 2)), version: version, least: true}
			body := f.message(s.newOne(api.Key, version)).AppendTo(nil)
			if err := s.newOur(api.Key).Decode(NewReader(body), version); err != nil {
				t.Fatalf("seed %d: %v\nmessage % x", seed, err, body)
			}
		}
	})
}

// TestUnknownTags checks that tagged fields which a version doesn't have are
// passed over.
func TestUnknownTags(t *testing.T) {
	eachOracle(t, func(t *testing.T, api API, s side, version int16) {
		if !api.Flexible(version) {
			t.SkipNow()
		}
		for seed := range uint64(10) {
			plain := filler{rng: rand.New(rand.NewPCG(seed, 1)), version: version}
			tagged := filler{rng: rand.New(rand.NewPCG(seed, 1)), version: version, tags: true}
			want := plain.message(s.newOne(api.Key, version)).AppendTo(nil)
			in := tagged.message(s.newOne(api.Key, version)).AppendTo(nil)
			m, w := s.newOur(api.Key), new(Writer)
			if err := m.Decode(NewReader(in), version); err != nil {
				t.Fatal(err)
			}
			if m.Encode(w, version); !bytes.Equal(w.Bytes(), want) || len(in) <= len(want) {
				t.Fatalf("seed %d: from % x\n got % x\nwant % x", seed, in, w.Bytes(), want)
			}
		}
	})
}

// filler sets kmsg's structs to random values.
type filler struct {
	rng     *rand.Rand
	version int16
	// tags asks for tagged fields that nobody knows.
	tags bool
	// least asks for long arrays of the shortest elements.
	least bool
}

func (f *filler) message(m oracle) oracle {
	f.fill(reflect.ValueOf(m).Elem())
	return m
}

func (f *filler) fill(v reflect.Value) {
	if f.least && v.Kind() != reflect.Struct && (v.Kind() != reflect.Slice || v.Type() == reflect.TypeFor[[]byte]()) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		v.Addr().Interface().(interface{ Default() }).Default()
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; name {
			case "Version":
			case "UnknownTags":
				if f.tags {
					v.Field(i).Addr().Interface().(*kmsg.Tags).Set(77, make([]byte, v.NumField()*20))
				}
			default:
				if f.version >= newerTags[v.Type().Name()+"."+name] {
					f.fill(v.Field(i))
				}
			}
		}
	case reflect.Pointer:
		v.SetZero()
		if f.rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Slice:
		if v.SetZero(); f.rng.IntN(4) == 0 {
			return
		}
		n := f.rng.IntN(4)
		if f.rng.IntN(60) == 0 && v.Type().Elem().Kind() != reflect.Struct {
			n = 130 // a length that takes two bytes
		}
		if f.least {
			n = []int{1, 1, 12}[f.rng.IntN(3)]
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.Array:
		zero := f.rng.IntN(4) == 0
		for i := range v.Len() {
			if v.Index(i).SetZero(); !zero {
				f.fill(v.Index(i))
			}
		}
	case reflect.String:
		n := f.rng.IntN(9)
		if f.rng.IntN(20) == 0 {
			n = 100 + f.rng.IntN(300)
		}
		v.SetString(strings.Repeat("aé日", n)[:n])
	case reflect.Bool:
		v.SetBool(f.rng.IntN(2) == 0)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(f.rng.Uint64N(math.MaxUint8))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(f.integer(v.Type().Bits()))
	default:
		panic("no filling for " + v.Type().String())
	}
}

func (f *filler) integer(bits int) int64 {
	switch f.rng.IntN(6) {
	case 0:
		return 0
	case 1:
		return -1
	case 2:
		return 1<<(bits-1) - 1
	case 3:
		return -1 << (bits - 1)
	default:
		return int64(f.rng.Uint64()) >> (64 - bits)
	}
}
