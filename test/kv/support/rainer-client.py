"""Speaks to a commit server exactly as the pyrainer library does: urllib, its headers, unescaped keys.

Reads one JSON command per line on standard input and answers one JSON line each.
(pyrainer itself is Python 2; urllib of Python 3 puts the same bytes on the wire, Connection: close included.)
"""
import base64
import json
import sys
import urllib.error
import urllib.request

base = sys.argv[1]


def commit_uri(key, version=None):
    return base + "/" + key + (("/" + str(version)) if version is not None else "")


def metadata(key, version=None):
    return json.loads(urllib.request.urlopen(commit_uri(key, version) + "/meta").read())


def value(key, version=None):
    return urllib.request.urlopen(commit_uri(key, version)).read()


def run(command, *args):
    if command == "list":
        return json.loads(urllib.request.urlopen(base + ("?all=yes" if args[0] else "")).read())
    if command == "list_full":
        listed = json.loads(urllib.request.urlopen(base + "?payload_base64=yes").read())
        return {key: base64.b64decode(meta["payload_base64"]).decode("latin-1") for key, meta in listed.items()}
    if command == "get_commit":
        meta = metadata(*args)
        return [meta, None if meta.get("empty", False) else value(args[0], meta["version"]).decode("latin-1")]
    if command == "post_commit":
        meta, payload = args
        request = urllib.request.Request(
            commit_uri(meta["key"], meta["version"]),
            payload.encode("latin-1"),
            {
                "Content-Type": "application/octet-stream",
                "X-Rainer-Author": meta["author"],
                "X-Rainer-Comment": meta["comment"],
                "X-Rainer-Empty": str(meta.get("empty", "false")),
            },
        )
        return json.loads(urllib.request.urlopen(request).read())
    raise ValueError(command)


for line in sys.stdin:
    try:
        answer = {"result": run(*json.loads(line))}
    except urllib.error.HTTPError as error:
        answer = {"status": error.code, "reason": error.reason, "body": error.read().decode()}
    print(json.dumps(answer), flush=True)
