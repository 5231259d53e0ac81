package protocol_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/batch"
)

// patience is how long a test waits for what must come: however slow the machine
// is, that is no reason to fail. One that hangs is ended by go test, which shows
// where.
const patience = time.Hour

// client is one raw connection, which sends exactly what a test says. Requests
// are encoded by kmsg, which knows nothing of our codec.
type client struct {
	t    testing.TB
	conn net.Conn
	next int32
}

func dial(t testing.TB, b *brokertest.Broker) *client {
	t.Helper()
	conn, err := b.Dial(t.Context(), "tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t: t, conn: conn}
}

// frame is a whole request with the given header and body.
func frame(key, version int16, correlation int32, flexible bool, body []byte) []byte {
	b := make([]byte, 4, 32+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = append(b, 0, 4, 't', 'e', 's', 't')
	if flexible {
		b = append(b, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// encoded is the frame of a kmsg request.
func (c *client) encoded(q kmsg.Request, version int16) []byte {
	q.SetVersion(version)
	c.next++
	return frame(q.Key(), version, c.next, q.IsFlexible(), q.AppendTo(nil))
}

// send sends a request and waits for nothing.
func (c *client) send(q kmsg.Request, version int16) {
	c.t.Helper()
	c.write(c.encoded(q, version))
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// receive reads the next response, which must answer the request with the given
// correlation id and be of its version.
func (c *client) receive(q kmsg.Request, correlation int32) kmsg.Response {
	c.t.Helper()
	got, body, err := c.read()
	if err != nil {
		c.t.Fatalf("no answer to %s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	if got != correlation {
		c.t.Fatalf("answer %d came where %d was next", got, correlation)
	}
	a := q.ResponseKind()
	if a.IsFlexible() && q.Key() != 18 {
		if body[0] != 0 {
			c.t.Fatalf("the response's header has %d tags", body[0])
		}
		body = body[1:]
	}
	if err := a.ReadFrom(body); err != nil {
		c.t.Fatalf("answer to %s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	return a
}

func (c *client) read() (correlation int32, body []byte, err error) {
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(body)), body[4:], nil
}

// ask sends a request and returns its response.
func ask[A kmsg.Response](c *client, q kmsg.Request, version int16) A {
	c.t.Helper()
	c.send(q, version)
	a, ok := c.receive(q, c.next).(A)
	if !ok {
		c.t.Fatalf("the response is a %T", a)
	}
	return a
}

// expectClosed fails unless the broker closes the connection and says nothing
// more.
func (c *client) expectClosed() {
	c.t.Helper()
	_, err := c.conn.Read(make([]byte, 1))
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("the connection is still open: %v", err)
	}
}

// records returns a batch of records with the given values.
func records(values ...string) batch.Batch {
	var rs []batch.Record
	for _, v := range values {
		rs = append(rs, batch.Record{Timestamp: time.Now().UnixMilli(), Value: []byte(v)})
	}
	return batch.Of(rs...).Bytes()
}

// produceRequest asks to append a batch to one partition.
func produceRequest(topic string, id [16]byte, partition int32, acks int16, b []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = acks, 10_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, b
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, id
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// produced returns the answer's only partition.
func produced(a *kmsg.ProduceResponse) kmsg.ProduceResponseTopicPartition {
	return a.Topics[0].Partitions[0]
}

// topicID is the id of a topic that exists.
func topicID(t testing.TB, b *brokertest.Broker, name string) [16]byte {
	t.Helper()
	topic := b.Node().Image().TopicByName(name)
	if topic == nil {
		t.Fatalf("there is no topic %s", name)
	}
	return topic.ID
}

// mustProduce appends a batch and returns its base offset.
func mustProduce(c *client, topic string, b batch.Batch) int64 {
	c.t.Helper()
	p := produced(ask[*kmsg.ProduceResponse](c, produceRequest(topic, [16]byte{}, 0, -1, b), 9))
	if p.ErrorCode != 0 {
		c.t.Fatalf("producing to %s: code %d", topic, p.ErrorCode)
	}
	return p.BaseOffset
}
