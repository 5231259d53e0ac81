"""kcat, as Debian packages it (librdkafka of 2022): the tool that people reach for first.

usage: BOOTSTRAP=host:port RUN=prefix kcat.py cases | expect FILE | write FILE | read DIR TOPIC...

kcat sets no timestamps, so the suite compares what it wrote without them; `expect FILE` prints the manifest as kcat
can express it: an empty key or value becomes null with -Z, and a header's value is never null.
"""

import os
import subprocess
import sys
import tempfile

import records
from records import due

BOOTSTRAP, RUN = os.environ.get("BOOTSTRAP", ""), os.environ.get("RUN", "")
STEP_SECONDS = 120
SEPARATOR = b"\x1e"
MAX_FITTING_VALUE = 1_048_588 - 61 - 11


def kcat(*args, stdin=b"", ok=True, loud="-q"):
    # -m: by itself kcat gives up on a broker that is silent for five seconds.
    done = subprocess.run(["kcat", "-b", BOOTSTRAP, "-m", str(STEP_SECONDS), loud, *args], input=stdin, capture_output=True, timeout=STEP_SECONDS)
    if ok and done.returncode != 0:
        raise AssertionError(f"kcat {args}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout if ok else (done.returncode, done.stderr.decode(errors="replace"))


def expressible(r):
    """The record as kcat can write it."""
    headers = [(n, v if v is not None else b"") for n, v in r.headers if v is None or b"\xff" not in v]
    return r._replace(key=r.key or None, value=r.value or None, headers=headers, timestamp=0)


def is_line(r):
    return r.key and r.value and not r.headers and len(r.value) < 1000 and not {*b"\t\n\r\0"} & {*r.key, *r.value}


def write(topic, codec, manifest):
    kcat("-L", "-t", topic)  # makes the topic, where the runner has not
    batch = []

    def flush():
        if batch:
            lines = b"".join(r.key + b"\t" + r.value + b"\n" for r in batch)
            kcat("-P", "-t", topic, "-p", str(batch[0].partition), "-K", "\t", "-z", codec, stdin=lines)
            batch.clear()

    for r in map(expressible, manifest):
        if batch and (not is_line(r) or batch[0].partition != r.partition):
            flush()
        if is_line(r):
            batch.append(r)
            continue
        args = ["-P", "-t", topic, "-p", str(r.partition), "-z", codec, "-Z"]
        for n, v in r.headers:
            args += ["-H", f"{n}={v.decode()}"]
        if r.value is None or (r.key and b"\0" in r.key):
            # An empty file sends nothing and no argument holds a NUL: key, delimiter and value from a line then, with
            # delimiters that occur in no record.
            kcat(*args, "-K", "\x02\x01\x02", "-D", "\x03\x01\x03", stdin=(r.key or b"") + b"\x02\x01\x02" + (r.value or b""))
            continue
        if r.key:
            args += ["-k", r.key.decode()]
        with tempfile.NamedTemporaryFile() as f:
            f.write(r.value)
            f.flush()
            kcat(*args, f.name)
    flush()


def read(topic):
    out, at, found = kcat("-C", "-t", topic, "-o", "beginning", "-e", "-f", "%p %T %K %S %h\x1e%k%s\x1e"), 0, []
    while at < len(out):
        end = out.index(SEPARATOR, at)
        partition, timestamp, klen, vlen, heads = out[at:end].split(b" ", 4)
        klen, vlen, at = int(klen), int(vlen), end + 1
        key = None if klen < 0 else out[at : at + klen]
        at += max(klen, 0)
        value = None if vlen < 0 else out[at : at + vlen]
        at += max(vlen, 0)
        due(out[at : at + 1], SEPARATOR, "after a record:")
        at += 1
        pairs = [h.split(b"=", 1) for h in heads.split(b",") if h]
        headers = [(n.decode(), None if v == b"NULL" else v) for n, v in pairs]
        found.append(records.Record(int(partition), int(timestamp), key, value, headers))
    return sorted(found, key=lambda r: r.partition)


def lines(topic):
    return kcat("-C", "-t", topic, "-p", "0", "-o", "beginning", "-e").split()


def produce_and_count(name, *args):
    topic = f"{RUN}-kcat-{name}"
    values = [str(i).encode() for i in range(100)]
    kcat("-P", "-t", topic, "-p", "0", *args, stdin=b"\n".join(values))
    got = lines(topic)
    while len(got) < 100 and "acks=0" in args:  # not there yet; the runner bounds the whole
        got = lines(topic)
    due(got, values, "values:")


def offsets():
    topic = f"{RUN}-kcat-offsets"
    kcat("-P", "-t", topic, "-p", "0", stdin=b"a\nb\nc\nd\n")
    for at, want in ("beginning", b"a b c d"), ("2", b"c d"), ("-1", b"d"), ("end", b""), ("s@1", b"a b c d"):
        got = kcat("-C", "-t", topic, "-p", "0", "-o", at, "-e").split()
        due(b" ".join(got), want, f"from {at}:")
    due(kcat("-Q", "-t", f"{topic}:0:-1").split()[-1], b"4", "latest:")
    due(kcat("-Q", "-t", f"{topic}:0:-2").split()[-1], b"0", "earliest:")
    due(kcat("-Q", "-t", f"{topic}:0:1").split()[-1], b"0", "at a time:")


def sizes():
    topic = f"{RUN}-kcat-sizes"
    with tempfile.NamedTemporaryFile() as f:
        f.write(bytes(MAX_FITTING_VALUE))
        f.flush()
        send = ("-P", "-t", topic, "-p", "0", "-X", "message.max.bytes=8000000", "-X", "retries=0")
        kcat(*send, f.name)
        f.write(b"1")
        f.flush()
        _, err = kcat(*send, f.name, ok=False, loud="-v")
        due("Message size too large" in err, True, f"one byte more: {err!r}:")
    due([r.value for r in read(topic)], [bytes(MAX_FITTING_VALUE)], "kept:")


def metadata():
    topic = f"{RUN}-kcat-meta"
    kcat("-P", "-t", topic, "-p", "0", stdin=b"v")
    text = kcat("-L").decode()
    due(f'topic "{topic}"' in text, True, f"listed in {text!r}:")
    due("1 brokers:" in text and f"at {BOOTSTRAP}" in text, True, f"broker in {text!r}:")


CASES = {
    "acks 0": lambda: produce_and_count("acks0", "-X", "acks=0"),
    "acks 1": lambda: produce_and_count("acks1", "-X", "acks=1"),
    "acks all": lambda: produce_and_count("acksall", "-X", "acks=all"),
    "idempotent": lambda: produce_and_count("idempotent", "-X", "enable.idempotence=true", "-X", "batch.num.messages=1"),
    "offsets and times": offsets,
    "records of max.message.bytes and of one byte more": sizes,
    "metadata": metadata,
}


def main(args):
    report = records.Report("kcat")
    if args == ["cases"]:
        for name, case in CASES.items():
            report.run(name, case)
    elif args[0] == "expect":
        records.write("/dev/stdout", map(expressible, records.read(args[1])))
    elif args[0] == "write":
        manifest = records.read(args[1])
        for codec in records.CODECS:
            report.run(f"writes {codec}", lambda: write(f"{RUN}-kcat-{codec}", codec, manifest))
    elif args[0] == "read":
        for topic in args[2:]:
            try:
                records.write(f"{args[1]}/{topic}.tsv", read(topic))
            except Exception as e:  # the runner misses the file and says so
                print(f"kcat reads {topic}: {e!r}", file=sys.stderr)
    else:
        sys.exit(__doc__)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [""]))
