"""Manifest files of the interop suite (go/manifest.go tells the format), and the lines that a client prints."""

import collections
import sys
import traceback

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3

# key and value: bytes or None; headers: a list of (str, bytes or None)
Record = collections.namedtuple("Record", "partition timestamp key value headers")


def _hex(b):
    return "-" if b is None else b.hex()


def _bytes(s):
    return None if s == "-" else bytes.fromhex(s)


def read(path):
    with open(path) as f:
        return [parse(line.rstrip("\n")) for line in f]


def parse(line):
    partition, timestamp, key, value, headers = line.split("\t")
    pairs = [h.split("=") for h in headers.split(";") if h]
    pairs = [(bytes.fromhex(n).decode(), _bytes(v)) for n, v in pairs]
    return Record(int(partition), int(timestamp), _bytes(key), _bytes(value), pairs)


def write(path, records):
    with open(path, "w") as f:
        for r in records:
            headers = ";".join(f"{n.encode().hex()}={_hex(v)}" for n, v in r.headers)
            f.write(f"{r.partition}\t{r.timestamp}\t{_hex(r.key)}\t{_hex(r.value)}\t{headers}\n")


class Report:
    """Runs cases, prints a line for each and counts the failed ones."""

    def __init__(self, client):
        self.client, self.failed = client, 0

    def run(self, name, case):
        try:
            case()
        except Exception as e:  # whatever a client throws is the finding
            self.failed += 1
            print(f"FAIL {self.client}: {name}: {type(e).__name__}: {e}", flush=True)
            if not isinstance(e, AssertionError):
                traceback.print_exc(file=sys.stderr)
        else:
            print(f"PASS {self.client}: {name}", flush=True)


def due(got, want, what=""):
    """Fails the case unless got is want."""
    if got != want:
        raise AssertionError(f"{what} {got!r}, want {want!r}".strip())
