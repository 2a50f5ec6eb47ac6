"""Metrics as Prometheus' own client reads them.

usage: read_metrics.py PORT PATH
Prints the status and, for /metrics, each sample as NAME LABELS VALUE, labels as JSON; else the body. Checks what the format
asks for: histograms whose buckets never fall, counters that are not negative, no series twice.
"""
import json
import sys
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

port, path = sys.argv[1:3]
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        status, body = answer.status, answer.read().decode()
except urllib.error.HTTPError as error:
    status, body = error.code, error.read().decode()
print(status)
if path != "/metrics":
    print(body, end="")
    sys.exit(0)
seen = set()
for family in text_string_to_metric_families(body):
    assert family.documentation and family.type != "unknown", family.name
    last = {}
    for sample in family.samples:
        series = (sample.name, json.dumps(sample.labels, sort_keys=True))
        assert series not in seen, series
        seen.add(series)
        if family.type in ("counter", "histogram"):
            assert sample.value >= 0, series
        if sample.name.endswith("_bucket"):
            key = json.dumps({k: v for k, v in sample.labels.items() if k != "le"}, sort_keys=True)
            assert sample.value >= last.get(key, 0), series
            last[key] = sample.value
        if sample.name.endswith("_count") and family.type == "histogram":
            assert last[json.dumps(sample.labels, sort_keys=True)] == sample.value, series
        print(series[0], series[1], sample.value)
