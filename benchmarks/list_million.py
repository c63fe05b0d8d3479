"""A million objects of an S3 store, listed and planned: seconds, and peak memory of the process that plans.

python -m benchmarks.list_million [--objects 1000000]

The store is a small server of this script's own: it answers ListObjectsV2 in pages of 1,000 keys, as S3 does, with sizes
that differ a thousandfold. Every object is one row, with its size as cost.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import partitioner as pt
from benchmarks.versions import versions

PAGE = 1000


class Handler(BaseHTTPRequestHandler):
    """GET of a bucket with ``list-type=2``: the keys after the continuation token, which is a number."""

    protocol_version = "HTTP/1.1"
    objects = 0

    def do_GET(self) -> None:
        asked = parse_qs(urlparse(self.path).query)
        first = int(asked.get("continuation-token", ["0"])[0])
        stop = min(first + PAGE, self.objects)
        told = "".join(
            f"<Contents><Key>data/{i // 10_000:04d}/object-{i:09d}.txt</Key><LastModified>2026-01-01T00:00:00.000Z"
            f'</LastModified><ETag>"{i:032x}"</ETag><Size>{1000 + i * 7919 % 999_000}</Size></Contents>'
            for i in range(first, stop)
        )
        more = f"<NextContinuationToken>{stop}</NextContinuationToken>" if stop < self.objects else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>b</Name>'
            f"<KeyCount>{stop - first}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{told}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line per page would be a thousand."""


def serve(objects: int) -> None:
    """Say the port, and answer until killed."""
    Handler.objects = objects
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def planned(objects: int, port: int) -> None:
    """List, plan and print."""
    os.environ |= {"AWS_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    import connectors.files

    source = connectors.files.FilesSource("s3://bucket/data/", content="none")
    began, used = time.perf_counter(), time.process_time()
    dataset = source.describe()
    listed, cpu = time.perf_counter() - began, time.process_time() - used
    assert len(dataset.fragments) == objects
    began, used = time.perf_counter(), time.process_time()
    plan = pt.plan(source, cost="bytes", workers=100, max_tasks=2000)
    whole, more = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{objects} objects: listed and described in {listed:.1f} s ({cpu:.1f} CPU s); listed, described and planned into "
        f"{len(plan)} sub-tasks in {whole:.1f} s ({more:.1f} CPU s), gap {plan.gap:.2%}; peak {peak:.0f} MB"
    )


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.objects)
        return
    print(versions("pyarrow", "obstore"))
    command = [sys.executable, "-m", "benchmarks.list_million", "--serve", "--objects", str(options.objects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            planned(options.objects, int(server.stdout.readline()))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
