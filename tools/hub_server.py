#!/usr/bin/env python3
"""A model hub and package index on loopback, for tests: real protocols, faults on demand.

usage: hub_server.py --root DIR      prints one line {"port": P, "cdn": Q} and serves until its stdin is closed

DIR/models/ORG/NAME/...   Hugging Face repositories: /api/models/ID/revision/REV, /ID/resolve/REV/PATH; files over
                          1 KiB are redirected to the second port, like large files to a content network
DIR/packages/NAME/FILE    packages: /simple/NAME/ as PEP 691 JSON or PEP 503 HTML, files under /packages/NAME/FILE
DIR/files/...             plain files: /files/...

Control: /-/faults?set=JSON replaces the faults, /-/log returns and empties the list of requests.
A fault is an object; it applies to requests whose path contains "path" (and to "port": "main" or "cdn"), "times" times:
  status N [headers {..}]   answer so            cut N          close after N body bytes
  delay S                   wait S per 16 KiB    no_range true  ignore Range
  corrupt true              flip a body byte     etag "..."     send this ETag
  html true                 PEP 503 only         names_only true  no sizes and hashes in model information
  no_hash / wrong_hash true in index pages       basic "u:p", bearer "t"  ask for this login
  redirect URL              302                  framing "close" or "chunked"  a body without Content-Length
  other_range N             Content-Range begins N bytes later than asked
  tell_range false          no Content-Range total ("*")   deaf true    ignore If-Range
"""

import argparse
import base64
import hashlib
import html
import json
import os
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATE = {"root": "", "faults": [], "log": [], "main": 0, "cdn": 0}
LOCK = threading.Lock()
LARGE = 1024


def read(path):
    with open(path, "rb") as f:
        return f.read()


def git_name(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def repo_files(name):
    """{path: bytes} of a repository, or None."""
    top = os.path.join(STATE["root"], "models", name)
    if not os.path.isdir(top):
        return None
    out = {}
    for folder, _, files in os.walk(top):
        for file in files:
            full = os.path.join(folder, file)
            out[os.path.relpath(full, top)] = read(full)
    return out


def commit_of(files):
    digest = hashlib.sha1()
    for path in sorted(files):
        digest.update(path.encode() + git_name(files[path]).encode())
    return digest.hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.handle_request(head=True)

    def do_GET(self):
        self.handle_request(head=False)

    def handle_request(self, head):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        if path.startswith("/-/"):
            return self.control(path, urllib.parse.parse_qs(url.query))
        self.head = head
        self.fault = self.find_fault(path)
        entry = {"port": self.server.label, "method": self.command, "path": path, "query": url.query,
                 "authorization": self.headers.get("Authorization", ""), "range": self.headers.get("Range", ""),
                 "if_range": self.headers.get("If-Range", ""), "status": 0}
        self.entry = entry
        with LOCK:
            STATE["log"].append(entry)
        try:
            self.route(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def find_fault(self, path):
        out = {}
        with LOCK:
            for fault in STATE["faults"]:
                if fault.get("path", "") not in path or fault.get("port", self.server.label) != self.server.label:
                    continue
                if fault.get("times", 1) <= 0:
                    continue
                if "times" in fault:
                    fault["times"] -= 1
                out.update(fault)
        return out

    def control(self, path, query):
        with LOCK:
            if path == "/-/faults":
                STATE["faults"] = json.loads(query["set"][0])
                body = b"[]"
            else:
                body = json.dumps(STATE["log"]).encode()
                STATE["log"] = []
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def route(self, path):
        fault = self.fault
        if "basic" in fault:
            want = "Basic " + base64.b64encode(fault["basic"].encode()).decode()
            if self.headers.get("Authorization") != want:
                return self.answer(401, b"login", {"WWW-Authenticate": 'Basic realm="x"'})
        if "bearer" in fault and self.headers.get("Authorization") != "Bearer " + fault["bearer"]:
            return self.answer(401, b"token", fault.get("headers", {}))
        if "status" in fault:
            return self.answer(fault["status"], b"fault", fault.get("headers", {}))
        if "redirect" in fault:
            return self.answer(302, b"", {"Location": fault["redirect"]})
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "revision" in parts:
            at = parts.index("revision")
            return self.model_info("/".join(parts[2:at]), "/".join(parts[at + 1:]))
        if "resolve" in parts[:3]:
            at = parts.index("resolve")
            return self.resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2:]))
        if parts[0] == "cdn":
            return self.content(parts[1])
        if parts[0] == "simple" and len(parts) == 2:
            return self.index(parts[1])
        if parts[0] in ("packages", "files"):
            full = os.path.join(STATE["root"], *parts)
            if os.path.isfile(full):
                data = read(full)
                return self.file(data, '"' + hashlib.sha256(data).hexdigest()[:32] + '"')
        return self.answer(404, b"not found", {"X-Error-Code": "RepoNotFound"} if len(parts) == 3 else {})

    def model_info(self, name, revision):
        files = repo_files(name)
        if files is None:
            return self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        commit = commit_of(files)
        if revision not in ("main", "dev", commit):
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        siblings = []
        for path in sorted(files):
            data = files[path]
            item = {"rfilename": path}
            if not self.fault.get("names_only"):
                item.update(size=len(data), blobId=git_name(data))
                if len(data) > LARGE:
                    item["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(item)
        body = json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode()
        self.answer(200, body, {"Content-Type": "application/json"})

    def resolve(self, name, revision, path):
        files = repo_files(name)
        if files is None or path not in files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        data = files[path]
        headers = {"X-Repo-Commit": commit_of(files)}
        if len(data) <= LARGE:
            return self.file(data, '"' + git_name(data) + '"', headers)
        digest = hashlib.sha256(data).hexdigest()
        headers.update({"X-Linked-Etag": '"' + digest + '"', "X-Linked-Size": str(len(data)),
                        "Location": "http://127.0.0.1:%d/cdn/%s?name=%s" % (STATE["cdn"], digest, path)})
        self.answer(302, b"", headers)

    def content(self, digest):
        top = os.path.join(STATE["root"], "models")
        for folder, _, names in os.walk(top):
            for name in names:
                data = read(os.path.join(folder, name))
                if hashlib.sha256(data).hexdigest() == digest:
                    return self.file(data, '"' + hashlib.md5(data).hexdigest() + '"')
        self.answer(404, b"", {})

    def index(self, name):
        top = os.path.join(STATE["root"], "packages", name)
        if not os.path.isdir(top):
            return self.answer(404, b"", {})
        entries = []
        for file in sorted(os.listdir(top)):
            data = read(os.path.join(top, file))
            digest = hashlib.sha256(data).hexdigest()
            if self.fault.get("wrong_hash"):
                digest = "0" * 64
            entries.append((file, "../../packages/%s/%s" % (name, urllib.parse.quote(file)), digest, len(data)))
        if "json" in self.headers.get("Accept", "") and not self.fault.get("html"):
            files = [{"filename": f, "url": u, "hashes": {} if self.fault.get("no_hash") else {"sha256": d}, "size": n,
                      "yanked": "yanked" in f} for f, u, d, n in entries]
            body = json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": files}).encode()
            return self.answer(200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})
        page = "<!DOCTYPE html>\n<html><body>\n"
        for file, url, digest, _ in entries:
            mark = "" if self.fault.get("no_hash") else "#sha256=" + digest
            page += '<a href="%s">%s</a><br/>\n' % (html.escape(url + mark), html.escape(file))
        self.answer(200, (page + "</body></html>\n").encode(), {"Content-Type": "text/html"})

    def answer(self, status, body, headers):
        self.entry["status"] = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not self.head:
            self.wfile.write(body)

    def file(self, data, etag, headers=None):
        fault = self.fault
        etag = fault.get("etag", etag)
        if fault.get("corrupt"):
            data = bytes([data[0] ^ 1]) + data[1:]
        begin, status, last = 0, 200, len(data) - 1
        wanted = self.headers.get("Range", "")
        fresh = fault.get("deaf") or self.headers.get("If-Range", etag) == etag
        if wanted.startswith("bytes=") and fresh and not fault.get("no_range"):
            first, end = wanted[6:].split("-")
            begin, status, last = int(first), 206, min(int(end or last), last)
            if begin >= len(data):
                return self.answer(416, b"", {"Content-Range": "bytes */%d" % len(data)})
        self.entry["status"] = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("ETag", etag)
        if not fault.get("no_range"):
            self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            total = "*" if fault.get("tell_range") is False else len(data)
            shown = begin + fault.get("other_range", 0)
            self.send_header("Content-Range", "bytes %d-%d/%s" % (shown, last, total))
        data = data[:last + 1]
        framing = fault.get("framing", "length")
        if framing == "length":
            self.send_header("Content-Length", str(len(data) - begin))
        elif framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()
        if self.head:
            return
        end = min(len(data), begin + fault["cut"]) if "cut" in fault else len(data)
        for at in range(begin, end, 16384):
            if "delay" in fault:
                time.sleep(fault["delay"])
            piece = data[at:min(at + 16384, end)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            self.wfile.flush()
        if end < len(data):
            self.close_connection = True
        elif framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # clients are killed on purpose


def start(label):
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.label = label
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    STATE["root"] = parser.parse_args().root
    STATE["main"], STATE["cdn"] = start("main"), start("cdn")
    print(json.dumps({"port": STATE["main"], "cdn": STATE["cdn"]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
