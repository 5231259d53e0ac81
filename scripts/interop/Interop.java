import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Apache Kafka's own Java client. usage: BOOTSTRAP=host:port RUN=prefix java Interop cases | write FILE | read DIR TOPIC…
 * The files are manifests of the suite; go/manifest.go tells their format.
 */
public class Interop {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final String RUN = System.getenv("RUN");
    static final int MAX_FITTING_VALUE = 1_048_588 - 61 - 11; // one record's batch of max.message.bytes
    static final Duration STEP = Duration.ofSeconds(120); // a case: none may hang
    static int failed = 0;

    /** One case of the table: it passes when it does not throw. */
    interface Case {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        switch (args.length == 0 ? "" : args[0]) {
            case "cases" -> cases().forEach(Interop::report);
            case "write" -> {
                List<ProducerRecord<byte[], byte[]>> manifest = readManifest(Path.of(args[1]));
                for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                    report("writes " + codec, () -> write(RUN + "-java-" + codec, codec, manifest));
                }
            }
            case "read" -> {
                for (String topic : Arrays.asList(args).subList(2, args.length)) {
                    try {
                        writeManifest(Path.of(args[1], topic + ".tsv"), read(topic));
                    } catch (Exception e) { // the runner misses the file and says so
                        System.err.println("java reads " + topic + ": " + e);
                    }
                }
            }
            default -> throw new IllegalArgumentException("usage: cases | write FILE | read DIR TOPIC…");
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    static void report(String name, Case c) {
        try {
            c.run();
            System.out.println("PASS java: " + name);
        } catch (Throwable e) {
            failed++;
            System.out.println("FAIL java: " + name + ": " + e.toString().replace('\n', ' '));
            e.printStackTrace();
        }
    }

    static Map<String, Case> cases() {
        Map<String, Case> t = new LinkedHashMap<>();
        t.put("acks 0", () -> produceAndCount("acks0", Map.of("acks", "0", "enable.idempotence", "false")));
        t.put("acks 1", () -> produceAndCount("acks1", Map.of("acks", "1", "enable.idempotence", "false")));
        t.put("acks all, not idempotent", () -> produceAndCount("acksall", Map.of("acks", "all", "enable.idempotence", "false")));
        t.put("idempotent, as by default", () -> produceAndCount("idempotent", Map.of()));
        t.put("idempotent, a record a batch", () -> produceAndCount("single", Map.of("batch.size", "0", "linger.ms", "0")));
        t.put("two idempotent producers at once", Interop::twoProducers);
        t.put("a topic is made by its first record", Interop::autoCreate);
        t.put("a record that just fits", () -> sized("fits", MAX_FITTING_VALUE, Map.of()));
        t.put("a record one byte too large", () ->
            fails(RecordTooLargeException.class, () -> sized("over", MAX_FITTING_VALUE + 1, Map.of())));
        t.put("the topic's own max.message.bytes", () -> {
            sized("own-fits", 9_000, Map.of("max.message.bytes", "10000"));
            fails(RecordTooLargeException.class, () -> sized("own-over", 10_000, Map.of("max.message.bytes", "10000")));
        });
        t.put("create, list, describe and delete a topic", Interop::topicLife);
        t.put("refused topics", Interop::refusedTopics);
        t.put("create partitions", Interop::createPartitions);
        t.put("list offsets", Interop::listOffsets);
        t.put("seek, and an offset out of range", Interop::seek);
        t.put("fetch sessions over many partitions", Interop::fetchSessions);
        return t;
    }

    // Clients

    static Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", BOOTSTRAP, "default.api.timeout.ms", "120000", "request.timeout.ms", "120000"));
    }

    static KafkaProducer<byte[], byte[]> producer(Map<String, Object> config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", BOOTSTRAP, "max.request.size", 8 << 20,
            "delivery.timeout.ms", 120_000, "request.timeout.ms", 60_000, "max.block.ms", 120_000));
        c.putAll(config);
        return new KafkaProducer<>(c, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> config) {
        Map<String, Object> c = new HashMap<>(Map.of("bootstrap.servers", BOOTSTRAP, "allow.auto.create.topics", false,
            "default.api.timeout.ms", 120_000, "request.timeout.ms", 60_000));
        c.putAll(config);
        return new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static <T> T get(Future<T> f) throws Exception {
        try {
            return f.get(STEP.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception x ? x : e;
        }
    }

    static void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        try (Admin a = admin()) {
            get(a.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all());
        }
    }

    static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> p, Collection<ProducerRecord<byte[], byte[]>> records)
        throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> r : records) {
            sent.add(p.send(r));
        }
        List<RecordMetadata> acked = new ArrayList<>();
        for (Future<RecordMetadata> f : sent) {
            acked.add(get(f));
        }
        return acked;
    }

    // What every client writes and reads

    static void write(String topic, String codec, List<ProducerRecord<byte[], byte[]>> manifest) throws Exception {
        create(topic, 3, Map.of("retention.ms", "-1"));
        try (var p = producer(Map.of("compression.type", codec, "linger.ms", 20))) {
            send(p, manifest.stream().map(r -> new ProducerRecord<>(topic, r.partition(), r.timestamp(), r.key(), r.value(), r.headers())).toList());
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String topic) throws Exception {
        try (var c = consumer(Map.of())) {
            List<TopicPartition> parts = c.partitionsFor(topic, STEP).stream().map(i -> new TopicPartition(topic, i.partition())).toList();
            c.assign(parts);
            c.seekToBeginning(parts);
            long want = c.endOffsets(parts, STEP).values().stream().mapToLong(Long::longValue).sum();
            List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
            for (long start = System.nanoTime(); found.size() < want; ) {
                c.poll(Duration.ofMillis(200)).forEach(found::add);
                check(System.nanoTime() - start < STEP.toNanos(), "%d of %d records".formatted(found.size(), want));
            }
            found.sort(Comparator.comparingInt(ConsumerRecord::partition)); // stable: offsets stay in order
            return found;
        }
    }

    static List<ProducerRecord<byte[], byte[]>> readManifest(Path file) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            String[] f = line.split("\t", -1);
            List<Header> headers = new ArrayList<>();
            for (String h : f[4].isEmpty() ? new String[0] : f[4].split(";")) {
                String[] pair = h.split("=", -1);
                headers.add(new RecordHeader(new String(bytes(pair[0]), StandardCharsets.UTF_8), bytes(pair[1])));
            }
            records.add(new ProducerRecord<>("-", Integer.parseInt(f[0]), Long.parseLong(f[1]), bytes(f[2]), bytes(f[3]), headers));
        }
        return records;
    }

    static void writeManifest(Path file, List<ConsumerRecord<byte[], byte[]>> records) throws Exception {
        StringBuilder out = new StringBuilder();
        for (ConsumerRecord<byte[], byte[]> r : records) {
            String headers = Arrays.stream(r.headers().toArray())
                .map(h -> hex(h.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(h.value())).collect(Collectors.joining(";"));
            out.append("%d\t%d\t%s\t%s\t%s\n".formatted(r.partition(), r.timestamp(), hex(r.key()), hex(r.value()), headers));
        }
        Files.writeString(file, out);
    }

    static byte[] bytes(String s) {
        return s.equals("-") ? null : HexFormat.of().parseHex(s);
    }

    static String hex(byte[] b) {
        return b == null ? "-" : HexFormat.of().formatHex(b);
    }

    // Cases

    static void produceAndCount(String name, Map<String, Object> config) throws Exception {
        String topic = RUN + "-java-" + name;
        create(topic, 2, Map.of());
        try (var p = producer(config)) {
            List<RecordMetadata> acked = send(p, numbers(topic, 100));
            if (!"0".equals(config.get("acks"))) {
                equal(acked.stream().map(RecordMetadata::offset).toList(), numbers(topic, 100).stream().map(r -> number(r.value()) / 2).toList());
            }
        }
        List<ConsumerRecord<byte[], byte[]>> got = read(topic);
        for (long start = System.nanoTime(); got.size() < 100 && System.nanoTime() - start < STEP.toNanos(); ) {
            got = read(topic); // acks 0: not there yet
        }
        equal(got.stream().map(r -> number(r.value())).toList(),
            numbers(topic, 100).stream().sorted(Comparator.comparing(ProducerRecord::partition)).map(r -> number(r.value())).toList());
    }

    static List<ProducerRecord<byte[], byte[]>> numbers(String topic, int n) {
        List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            out.add(new ProducerRecord<>(topic, i % 2, null, Integer.toString(i).getBytes()));
        }
        return out;
    }

    static long number(byte[] value) {
        return Long.parseLong(new String(value));
    }

    static void twoProducers() throws Exception {
        String topic = RUN + "-java-two";
        create(topic, 2, Map.of());
        try (var a = producer(Map.of()); var b = producer(Map.of())) {
            for (int i = 0; i < 10; i++) {
                send(a, numbers(topic, 20));
                send(b, numbers(topic, 20));
            }
        }
        equal(read(topic).size(), 400);
    }

    static void autoCreate() throws Exception {
        String topic = RUN + "-java-auto";
        try (var p = producer(Map.of())) {
            send(p, List.of(new ProducerRecord<>(topic, "v".getBytes())));
        }
        equal(read(topic).size(), 1);
    }

    static void sized(String name, int size, Map<String, String> configs) throws Exception {
        String topic = RUN + "-java-" + name;
        create(topic, 1, configs);
        try (var p = producer(Map.of())) {
            send(p, List.of(new ProducerRecord<>(topic, new byte[size])));
        }
        equal(read(topic).get(0).value().length, size);
    }

    static void topicLife() throws Exception {
        String topic = RUN + "-java-life";
        try (Admin a = admin()) {
            NewTopic t = new NewTopic(topic, 5, (short) 1).configs(Map.of("retention.ms", "1234567"));
            get(a.createTopics(List.of(t), new CreateTopicsOptions().validateOnly(true)).all());
            check(!get(a.listTopics().names()).contains(topic), "made by validate-only");
            var made = a.createTopics(List.of(t));
            get(made.all());
            equal(get(made.numPartitions(topic)), 5);
            equal(get(made.config(topic)).get("retention.ms").value(), "1234567");
            fails(TopicExistsException.class, () -> get(a.createTopics(List.of(t)).all()));
            check(get(a.listTopics().names()).contains(topic), "not listed");
            var d = get(a.describeTopics(List.of(topic)).allTopicNames()).get(topic);
            equal(d.topicId(), get(made.topicId(topic)));
            equal(d.partitions().size(), 5);
            for (var p : d.partitions()) {
                equal(List.of(p.leader()), p.replicas());
                equal(p.isr(), p.replicas());
            }
            get(a.deleteTopics(List.of(topic)).all());
            for (long start = System.nanoTime(); get(a.listTopics().names()).contains(topic); ) {
                check(System.nanoTime() - start < STEP.toNanos(), "deleted, and still listed");
            }
            fails(UnknownTopicOrPartitionException.class, () -> get(a.describeTopics(List.of(topic)).allTopicNames()));
            fails(UnknownTopicOrPartitionException.class, () -> get(a.deleteTopics(List.of(topic)).all()));
        }
    }

    static void refusedTopics() throws Exception {
        String never = RUN + "-java-never";
        fails(InvalidTopicException.class, () -> create("no spaces", 1, Map.of()));
        fails(InvalidPartitionsException.class, () -> create(never, 0, Map.of()));
        fails(InvalidConfigurationException.class, () -> create(never, 1, Map.of("no.such.config", "1")));
        fails(InvalidConfigurationException.class, () -> create(never, 1, Map.of("cleanup.policy", "burn")));
    }

    static void createPartitions() throws Exception {
        String topic = RUN + "-java-wider";
        create(topic, 2, Map.of());
        try (Admin a = admin()) {
            get(a.createPartitions(Map.of(topic, NewPartitions.increaseTo(6))).all());
            fails(InvalidPartitionsException.class, () -> get(a.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all()));
        }
        try (var p = producer(Map.of())) {
            send(p, List.of(new ProducerRecord<>(topic, 5, null, "v".getBytes())));
        }
    }

    static void listOffsets() throws Exception {
        String topic = RUN + "-java-offsets";
        long first = 1_760_000_000_000L;
        create(topic, 1, Map.of("retention.ms", "-1"));
        try (var p = producer(Map.of())) {
            for (int i = 0; i < 10; i++) { // a batch each
                send(p, List.of(new ProducerRecord<>(topic, 0, first + i * 1000L, null, "v".getBytes())));
            }
        }
        var part = new TopicPartition(topic, 0);
        Map<OffsetSpec, Long> asked = new LinkedHashMap<>();
        asked.put(OffsetSpec.earliest(), 0L);
        asked.put(OffsetSpec.latest(), 10L);
        asked.put(OffsetSpec.maxTimestamp(), 9L);
        asked.put(OffsetSpec.earliestLocal(), 0L);
        asked.put(OffsetSpec.forTimestamp(1), 0L);
        asked.put(OffsetSpec.forTimestamp(first + 3000), 3L);
        asked.put(OffsetSpec.forTimestamp(first + 3001), 4L);
        asked.put(OffsetSpec.forTimestamp(first + 9001), -1L);
        try (Admin a = admin(); var c = consumer(Map.of())) {
            for (var q : asked.entrySet()) {
                long got = get(a.listOffsets(Map.of(part, q.getKey())).partitionResult(part)).offset();
                check(got == q.getValue(), "%s: offset %d, want %d".formatted(q.getKey().getClass().getSimpleName(), got, q.getValue()));
            }
            equal(c.beginningOffsets(Set.of(part)), Map.of(part, 0L));
            equal(c.endOffsets(Set.of(part)), Map.of(part, 10L));
            equal(c.offsetsForTimes(Map.of(part, first + 3001)).get(part).timestamp(), first + 4000);
        }
    }

    static void seek() throws Exception {
        String topic = RUN + "-java-seek";
        create(topic, 2, Map.of());
        try (var p = producer(Map.of()); var c = consumer(Map.of("auto.offset.reset", "none"))) {
            send(p, numbers(topic, 100));
            var part = new TopicPartition(topic, 1);
            c.assign(List.of(part));
            c.seek(part, 40);
            var got = c.poll(STEP).records(part);
            equal(got.get(0).offset(), 40L);
            equal(number(got.get(0).value()), 81L);
            c.seek(part, 1000);
            fails(OffsetOutOfRangeException.class, () -> c.poll(STEP));
        }
    }

    /** Records trickle into a few of 50 partitions, so that most fetches carry only what changed (KIP-227). */
    static void fetchSessions() throws Exception {
        String topic = RUN + "-java-sessions";
        create(topic, 50, Map.of());
        try (var p = producer(Map.of()); var c = consumer(Map.of("auto.offset.reset", "earliest", "fetch.max.wait.ms", 100))) {
            List<TopicPartition> parts = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                parts.add(new TopicPartition(topic, i));
            }
            c.assign(parts);
            int got = 0;
            for (int round = 0; round < 30; round++) {
                send(p, List.of(new ProducerRecord<>(topic, round * 7 % 50, null, "v".getBytes())));
                for (long start = System.nanoTime(); got <= round; ) {
                    got += c.poll(Duration.ofSeconds(1)).count();
                    check(System.nanoTime() - start < STEP.toNanos(), "%d records after round %d".formatted(got, round));
                }
                if (round == 15) {
                    c.assign(parts.subList(0, 25)); // partitions leave the session …
                    c.assign(parts); // … and come back, at the beginning again
                    c.seekToEnd(parts);
                    parts.forEach(c::position);
                }
            }
            equal(got, 30);
        }
    }

    // Checks

    static void check(boolean ok, String otherwise) {
        if (!ok) {
            throw new AssertionError(otherwise);
        }
    }

    static void equal(Object got, Object want) {
        check(got.equals(want), "got %s, want %s".formatted(got, want));
    }

    static void fails(Class<? extends Exception> due, Case c) throws Exception {
        try {
            c.run();
        } catch (Exception e) {
            check(due.isInstance(e), "got %s, want %s".formatted(e, due.getSimpleName()));
            return;
        }
        throw new AssertionError("succeeded, want " + due.getSimpleName());
    }
}
