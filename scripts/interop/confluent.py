"""librdkafka of today, through confluent-kafka for Python.

usage: BOOTSTRAP=host:port RUN=prefix confluent.py cases | write FILE | read DIR TOPIC...
"""

import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_NOT_AVAILABLE, IsolationLevel, TopicCollection
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

import records
from records import due

BOOTSTRAP, RUN = os.environ["BOOTSTRAP"], os.environ["RUN"]
BASE = {"bootstrap.servers": BOOTSTRAP, "log_level": 3, "socket.timeout.ms": 60000}
MAX_FITTING_VALUE = 1_048_588 - 61 - 11  # one record's batch of max.message.bytes: header, and what is around the value
STEP_SECONDS = 120


ADMIN = AdminClient(BASE)  # a client that nothing holds drops what it was asked


def outcome(futures):
    """The error code of an admin call about one thing; 0 for success."""
    try:
        next(iter(futures.values())).result(STEP_SECONDS)
        return 0
    except KafkaException as e:
        return e.args[0].code()


def create(topic, partitions=1, **config):
    config = {k.replace("_", "."): str(v) for k, v in config.items()}
    return outcome(ADMIN.create_topics([NewTopic(topic, partitions, 1, config=config)], request_timeout=STEP_SECONDS))


def send(config, messages):
    """Produces messages (dicts of produce's arguments) and returns the delivery errors' codes."""
    errors = []

    def delivered(err, _):
        if err is not None:
            errors.append(err.code())

    p = Producer({**BASE, "message.max.bytes": 8 << 20, "delivery.timeout.ms": 1000 * STEP_SECONDS, **config})
    for m in messages:
        p.produce(**m, on_delivery=delivered)
        p.poll(0)
    due(p.flush(STEP_SECONDS), 0, "messages left in the queue:")
    return errors


def write(topic, codec, manifest):
    due(create(topic, records.PARTITIONS, retention_ms=-1), 0, "create:")
    messages = [
        dict(topic=topic, partition=r.partition, timestamp=r.timestamp, key=r.key, value=r.value, headers=r.headers)
        for r in manifest
    ]
    due(send({"compression.type": codec, "enable.idempotence": True, "linger.ms": 20}, messages), [], "errors:")


def read(topic):
    """All of a topic by assignment: no group is asked for, although the library insists on its name."""
    c = Consumer({**BASE, "group.id": RUN, "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        parts = sorted(c.list_topics(topic, STEP_SECONDS).topics[topic].partitions)
        c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in parts])
        found, ended, deadline = {p: [] for p in parts}, set(), time.monotonic() + STEP_SECONDS
        while len(ended) < len(parts):
            m = c.poll(1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"ended: {ended} of {parts}")
            if m is None:
                continue
            if m.error():
                due(m.error().code(), KafkaError._PARTITION_EOF, "error:")
                ended.add(m.partition())
                continue
            found[m.partition()].append(m)
    finally:
        c.close()
    return [as_record(m) for p in parts for m in found[p]]


def as_record(m):
    kind, timestamp = m.timestamp()
    assert kind != TIMESTAMP_NOT_AVAILABLE
    return records.Record(m.partition(), timestamp, m.key(), m.value(), m.headers() or [])


def produce_and_count(name, **config):
    topic = f"{RUN}-confluent-{name}"
    due(create(topic, 2), 0, "create:")
    config = {k.replace("_", "."): v for k, v in config.items()}
    messages = [dict(topic=topic, partition=i % 2, value=str(i)) for i in range(100)]
    due(send(config, messages), [], "errors:")
    deadline = time.monotonic() + STEP_SECONDS
    got = read(topic)
    while len(got) < 100 and time.monotonic() < deadline:  # acks 0: not there yet
        got = read(topic)
    due([int(r.value) for r in got], [*range(0, 100, 2), *range(1, 100, 2)], "values:")


def sized(name, size, **config):
    topic = f"{RUN}-confluent-{name}"
    due(create(topic, 1, **config), 0, "create:")
    return send({"retries": 0}, [dict(topic=topic, partition=0, value=bytes(size))])


def topic_life():
    topic, a = f"{RUN}-confluent-life", ADMIN
    due(create(topic, 5), 0, "create:")
    due(create(topic, 5), KafkaError.TOPIC_ALREADY_EXISTS, "create again:")
    d = a.describe_topics(TopicCollection([topic]))[topic].result(STEP_SECONDS)
    due((d.name, len(d.partitions), d.is_internal), (topic, 5, False), "described as")
    due({(p.leader.id, len(p.replicas), len(p.isr)) for p in d.partitions}, {(d.partitions[0].leader.id, 1, 1)}, "partitions:")
    due(topic in a.list_topics(timeout=STEP_SECONDS).topics, True, "listed:")
    due(outcome(a.delete_topics([topic])), 0, "delete:")
    deadline = time.monotonic() + STEP_SECONDS
    while topic in a.list_topics(timeout=STEP_SECONDS).topics:
        assert time.monotonic() < deadline, "deleted, and still listed"
    due(outcome(a.delete_topics([topic])), KafkaError.UNKNOWN_TOPIC_OR_PART, "delete again:")


def refused_topics():
    due(create("no spaces"), KafkaError.TOPIC_EXCEPTION, "bad name:")
    due(create(f"{RUN}-confluent-never", no_such_config=1), KafkaError.INVALID_CONFIG, "unknown config:")
    due(create(f"{RUN}-confluent-never", cleanup_policy="burn"), KafkaError.INVALID_CONFIG, "bad value:")


def create_partitions():
    topic, a = f"{RUN}-confluent-wider", ADMIN
    due(create(topic, 2), 0, "create:")
    due(outcome(a.create_partitions([NewPartitions(topic, 6)])), 0, "to 6:")
    due(outcome(a.create_partitions([NewPartitions(topic, 3)])), KafkaError.INVALID_PARTITIONS, "to 3:")
    due(send({}, [dict(topic=topic, partition=5, value="v")]), [], "errors:")


def list_offsets():
    topic, first = f"{RUN}-confluent-offsets", 1_760_000_000_000
    due(create(topic, 1, retention_ms=-1), 0, "create:")
    for i in range(10):  # a batch each
        due(send({}, [dict(topic=topic, partition=0, value="v", timestamp=first + i * 1000)]), [], "errors:")
    part = TopicPartition(topic, 0)
    for spec, want in [
        (OffsetSpec.earliest(), 0),
        (OffsetSpec.latest(), 10),
        (OffsetSpec.max_timestamp(), 9),
        (OffsetSpec.for_timestamp(1), 0),
        (OffsetSpec.for_timestamp(first + 3000), 3),
        (OffsetSpec.for_timestamp(first + 3001), 4),
        (OffsetSpec.for_timestamp(first + 9001), -1),
    ]:
        for level in IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED:
            got = ADMIN.list_offsets({part: spec}, isolation_level=level)[part].result(STEP_SECONDS)
            due(got.offset, want, f"{spec} {level}:")
    c = Consumer({**BASE, "group.id": RUN})
    due(c.get_watermark_offsets(part, STEP_SECONDS), (0, 10), "watermarks:")
    due(c.offsets_for_times([TopicPartition(topic, 0, first + 3001)], STEP_SECONDS)[0].offset, 4, "offset for a time:")
    c.close()


def out_of_range():
    topic = f"{RUN}-confluent-range"
    due(create(topic), 0, "create:")
    c = Consumer({**BASE, "group.id": RUN, "enable.auto.commit": False, "auto.offset.reset": "error"})
    c.assign([TopicPartition(topic, 0, 1000)])
    m = c.poll(STEP_SECONDS)
    c.close()
    due(m.error().code(), KafkaError._AUTO_OFFSET_RESET, "error:")


CASES = {
    "acks 0": lambda: produce_and_count("acks0", acks=0),
    "acks 1": lambda: produce_and_count("acks1", acks=1),
    "acks all": lambda: produce_and_count("acksall", acks=-1),
    "idempotent, a record a batch": lambda: produce_and_count("idempotent", enable_idempotence=True, batch_num_messages=1),
    "a record that just fits": lambda: due(sized("fits", MAX_FITTING_VALUE), []),
    "a record one byte too large": lambda: due(sized("over", MAX_FITTING_VALUE + 1), [KafkaError.MSG_SIZE_TOO_LARGE]),
    "the topic's own max.message.bytes": lambda: due(
        (sized("own-fits", 9000, max_message_bytes=10000), sized("own-over", 10000, max_message_bytes=10000)),
        ([], [KafkaError.MSG_SIZE_TOO_LARGE]),
    ),
    "create, list, describe and delete a topic": topic_life,
    "refused topics": refused_topics,
    "create partitions": create_partitions,
    "list offsets": list_offsets,
    "an offset out of range": out_of_range,
}


def main(args):
    report = records.Report("confluent")
    if args == ["cases"]:
        for name, case in CASES.items():
            report.run(name, case)
    elif args[0] == "write":
        manifest = records.read(args[1])
        for codec in records.CODECS:
            report.run(f"writes {codec}", lambda: write(f"{RUN}-confluent-{codec}", codec, manifest))
    elif args[0] == "read":
        for topic in args[2:]:
            try:
                records.write(f"{args[1]}/{topic}.tsv", read(topic))
            except Exception as e:  # the runner misses the file and says so
                print(f"confluent reads {topic}: {e!r}", file=sys.stderr)
    else:
        sys.exit(__doc__)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [""]))
