#!/usr/bin/env python3
"""Writes the binary seeds of the fuzzers, beside this file.

Each is small and valid, and the set touches every kind of value, tensor and entry that the parsers know.
"""
import gzip
import io
import json
import pathlib
import struct
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def gguf(version, keys, tensors, align=32):
    """keys: (name, type, bytes); tensors: (name, ne, type, bytes)"""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for name, kind, value in keys:
        out += text(name) + struct.pack("<I", kind) + value
    data = b""
    for name, ne, kind, body in tensors:
        data += b"\0" * (-len(data) % align)
        out += text(name) + struct.pack("<I%dQIQ" % len(ne), len(ne), *ne, kind, len(data))
        data += body
    return out + b"\0" * (-len(out) % align) + data if tensors else out


def gguf_seeds():
    formats = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
    scalars = [("s%d" % kind, kind, struct.pack(form, 1)) for kind, form in formats.items()]
    arrays = [("a%d" % kind, 9, array(kind, [struct.pack(form, 1)] * 2)) for kind, form in formats.items()]
    llama = [("general.architecture", 8, text("llama")), ("llama.block_count", 4, struct.pack("<I", 1)),
             ("tokenizer.ggml.model", 8, text("gpt2")), ("tokenizer.ggml.tokens", 9, array(8, [text("a"), text("bc")])),
             ("tokenizer.ggml.token_type", 9, array(5, [struct.pack("<i", 1)] * 2))]
    yield "values", gguf(3, scalars + arrays, [])
    yield "version2", gguf(2, llama, [("t", [2, 2], 0, bytes(16))])
    yield "tensors", gguf(3, llama, [("f32", [3], 0, bytes(12)), ("f16", [2, 1], 1, bytes(4)),
                                     ("q4_0", [32, 2], 2, bytes(36)), ("q8_0", [32], 8, bytes(34))])
    yield "aligned", gguf(3, [("general.alignment", 4, struct.pack("<I", 64))],
                          [("a", [1], 0, bytes(4)), ("b", [1, 1, 1, 1], 0, bytes(4))], align=64)
    yield "split", gguf(3, [("split.no", 2, b"\0\0"), ("split.count", 2, b"\2\0"), ("split.tensors.count", 5, b"\2\0\0\0")],
                        [("a", [1], 0, bytes(4))])


def safetensors(header, data):
    body = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(body)) + body + data


def safetensors_seeds():
    def entry(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    yield "two", safetensors({"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], 0, 16),
                              "b": entry("BF16", [3], 16, 22)}, bytes(22))
    yield "kinds", safetensors({"s": entry("F64", [], 0, 8), "z": entry("I8", [0, 4], 8, 8), "i": entry("I64", [1], 8, 16),
                                "t": entry("BOOL", [2], 16, 18), "f": entry("F16", [1, 1, 1], 18, 20)}, bytes(20))
    yield "empty", safetensors({}, b"")


def ct2(spec, variables, aliases=()):
    """variables: (name, dims, type, bytes)"""
    def short(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"
    out = struct.pack("<I", 6) + short(spec) + struct.pack("<II", 3, len(variables))
    for name, dims, kind, body in variables:
        out += short(name) + struct.pack("<B%dIBI" % len(dims), len(dims), *dims, kind, len(body)) + body
    return out + struct.pack("<I", len(aliases)) + b"".join(short(a) + short(b) for a, b in aliases)


def ct2_seeds():
    yield "types", ct2("WhisperSpec", [("t%d" % kind, [2], kind, bytes(2 * size))
                                       for kind, size in enumerate((4, 1, 2, 4, 2, 2))])
    yield "shapes", ct2("TransformerSpec", [("scalar", [], 2, b"\1\0"), ("empty", [0, 3], 0, b""),
                                            ("deep", [1, 2, 1, 2], 1, bytes(4))])
    yield "aliases", ct2("TransformerDecoderSpec", [("w", [2, 2], 1, bytes(4)), ("w_scale", [2], 0, bytes(8))],
                         [("v", "w"), ("u", "v")])
    yield "none", ct2("S", [])


def archive_seeds():
    """The first byte is what archive_fuzz.cpp chooses by: '0' zip, '1' tar.gz, '2' tar."""
    files = [("pkg/m.gguf", b"GGUF"), ("pkg/__init__.py", b"x"), ("pkg/model/config.json", b"{}"), ("LICENSE", b"free")]
    for name, how in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", how) as z:
            for path, data in files:
                z.writestr(zipfile.ZipInfo(path), data * 20, how)
        yield "zip-" + name, b"0" + out.getvalue()
    for name, form in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT), ("ustar", tarfile.USTAR_FORMAT)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as t:
            for path, data in files[:2]:
                long = "/".join(["d" * 60] * 2) + "/" + path if form != tarfile.USTAR_FORMAT else path
                info = tarfile.TarInfo(long)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        tar = out.getvalue().rstrip(b"\0")
        tar += b"\0" * (-len(tar) % 512 + 1024)
        yield "tar-" + name, b"2" + tar
        if form == tarfile.USTAR_FORMAT:
            yield "targz", b"1" + gzip.compress(tar, mtime=0)


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def proto(number, value):
    """A field of a protobuf message by the kind of its value."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def spm(pieces, trainer=b"", normalizer=b""):
    """pieces: (text, score, type)"""
    out = b"".join(proto(1, proto(1, text) + proto(2, float(score)) + proto(3, kind)) for text, score, kind in pieces)
    return out + proto(2, trainer) + proto(3, normalizer)


def spm_seeds():
    ends = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    words = [("\u2581the", -1, 1), ("\u2581", -2, 1), ("he", -3, 1), ("h", -4, 1), ("e", -4.5, 1), ("o", -5, 1)]
    byte = [("<0x%02X>" % b, 0, 6) for b in range(256)]
    yield "unigram", spm(ends + words)
    yield "bpe", spm(ends + words, proto(3, 2))
    yield "bytes", spm(ends + byte + words, proto(3, 2) + proto(35, 1), proto(3, 0) + proto(4, 0))
    yield "symbols", spm(ends + words + [("hell", 0, 4), ("  ", 0, 4), ("x", 0, 5)], proto(24, 1) + proto(43, 1))
    yield "symbols-bpe", spm(ends + words + [("hell", 0, 4), ("  ", 0, 4)], proto(3, 2), proto(5, 0))
    yield "map", spm(ends + words, b"", proto(2, struct.pack("<3I", 8, 0x80000400, 0) + b"a\0"))


def main():
    for target, seeds in (("gguf_fuzz", gguf_seeds()), ("safetensors_fuzz", safetensors_seeds()),
                          ("ct2_fuzz", ct2_seeds()), ("archive_fuzz", archive_seeds()),
                          ("spm_fuzz", spm_seeds())):
        (HERE / target).mkdir(exist_ok=True)
        for name, data in seeds:
            (HERE / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
