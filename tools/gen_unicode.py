#!/usr/bin/env python3
"""Writes src/prep/unicode_tables.inc: one class byte per code point, in two levels, and the lower-case map.

The classes are asked of the Hugging Face `tokenizers` package itself, code point by code point, because ids must be
equal to its ids: its pre-tokenizer expressions run on Oniguruma, its other predicates on Rust's standard library and on
the crates `regex` and `unicode_categories`, and each of these carries another Unicode version.

    python3 tools/gen_unicode.py          # needs: pip install tokenizers
"""
import struct
import sys
from pathlib import Path

from tokenizers import Regex, __version__, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
BLOCK = 128


def text(points):
    return "".join(map(chr, points))


def by_regex(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {ord(c) for piece, _ in split.pre_tokenize_str(text(CODE_POINTS)) for c in piece}


def removed_by(pre_tokenizer):
    kept = {ord(c) for piece, _ in pre_tokenizer.pre_tokenize_str(text(CODE_POINTS)) for c in piece}
    return set(CODE_POINTS) - kept


def isolated_by(pre_tokenizer):
    pieces = pre_tokenizer.pre_tokenize_str("x".join(map(chr, CODE_POINTS)))
    return {ord(piece) for piece, _ in pieces if len(piece) == 1 and piece != "x"}


def word_characters():
    pieces = pre_tokenizers.Whitespace().pre_tokenize_str(" ".join("a" + chr(c) for c in CODE_POINTS))
    return {ord(piece[1]) for piece, _ in pieces if len(piece) == 2 and piece[0] == "a"} | {ord("a")}


def vanishing(normalizer):
    return {c for c in CODE_POINTS if normalizer.normalize_str(chr(c)) == ""}


def normal_form_points():
    form, full = normalizers.NFD(), normalizers.NFKD()
    moves = lambda text: form.normalize_str(text) != text
    low, high = "\u0334", "\u0345"  # combining classes 1 and 240
    return {c for c in CODE_POINTS if full.normalize_str(chr(c)) != chr(c) or moves(high + chr(c)) or moves(chr(c) + low)} | {
        ord(low), ord(high)}


def cluster_points():
    """Code points that join the grapheme cluster before them: a charsmap of the one entry "a" -> "X" swallows them."""
    units = [0] * 1024
    units[0] = 256 << 10
    units[256 ^ ord("a")] = ord("a") | 1 << 8 | 1 << 10
    units[256 ^ ord("a") ^ 1] = 1 << 31
    blob = struct.pack("<I1024I", 4096, *units) + b"X\0"
    form = normalizers.Precompiled(blob)
    assert form.normalize_str("ab") == "Xb"
    return {c for c in CODE_POINTS if form.normalize_str("a" + chr(c)) == "X"}


def tables():
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    accents = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    lower = by_regex(r"\p{Ll}")
    upper = by_regex(r"\p{Lu}|\p{Lt}")
    return [
        ("kLetter", r"\p{L}", by_regex(r"\p{L}")),
        ("kNumber", r"\p{N}", by_regex(r"\p{N}")),
        ("kMark", r"\p{M}", by_regex(r"\p{M}")),
        ("kUpper", r"\p{Lu} and \p{Lt}", upper),
        ("kLower", r"\p{Ll}", lower),
        ("kPunct", r"\p{P}", by_regex(r"\p{P}")),
        ("kSymbol", r"\p{S}", by_regex(r"\p{S}")),
        ("kHan", r"\p{Han}", by_regex(r"\p{Han}")),
        ("kSpace", r"\s", by_regex(r"\s")),
        ("kWhite", "Rust char::is_whitespace", removed_by(pre_tokenizers.WhitespaceSplit())),
        ("kNumeric", "Rust char::is_numeric", isolated_by(pre_tokenizers.Digits(individual_digits=True))),
        ("kBertPunct", "ASCII punctuation or category P (unicode_categories)", removed_by(pre_tokenizers.Punctuation("removed"))),
        ("kWord", r"\w of the crate regex", word_characters()),
        ("kControl", "what BERT's clean_text removes", vanishing(clean)),
        ("kNonSpacing", "what BERT's strip_accents removes", vanishing(accents)),
        ("kCombining", "what StripAccents removes", vanishing(normalizers.StripAccents())),
        ("kNormal", "has a decomposition or a combining class in the normal forms", normal_form_points()),
        ("kJoins", "joins the grapheme cluster before it (Extend, ZWJ, SpacingMark)", cluster_points()),
    ]


def rows(values, per_line, width):
    for i in range(0, len(values), per_line):
        yield "    " + ", ".join(str(v).rjust(width) for v in values[i : i + per_line]) + ","


def main():
    classes = tables()
    flags = [0] * 0x110000
    for bit, (_, _, members) in enumerate(classes):
        for c in members:
            flags[c] |= 1 << bit
    kinds = sorted(set(flags))
    assert len(kinds) <= 256
    index_of = {f: i for i, f in enumerate(kinds)}
    blocks, first = {}, []
    for start in range(0, 0x110000, BLOCK):
        block = tuple(index_of[f] for f in flags[start : start + BLOCK])
        first.append(blocks.setdefault(block, len(blocks)))
    lower = normalizers.Lowercase()
    pairs = [(c, lower.normalize_str(chr(c))) for c in CODE_POINTS]
    pairs = [(c, s) for c, s in pairs if s != chr(c)]
    ranges = []  # (first, last, step, delta): c -> c + delta
    for c, s in pairs:
        if len(s) != 1:
            assert c == 0x130 and s == "i\u0307", hex(c)
            continue
        delta = ord(s) - c
        if ranges and ranges[-1][3] == delta:
            first_c, last, step, _ = ranges[-1]
            if c - last in (1, 2) and (step in (0, c - last)):
                ranges[-1] = (first_c, c, c - last, delta)
                continue
        ranges.append((c, c, 0, delta))
    out = [f"// generated by tools/gen_unicode.py from tokenizers {__version__}; do not edit", "// clang-format off"]
    for bit, (name, what, members) in enumerate(classes):
        out.append(f"inline constexpr uint32_t {name} = 1u << {bit};  // {what}: {len(members)} code points")
    out.append(f"inline constexpr uint32_t kClassFlags[{len(kinds)}] = {{")
    out += rows(kinds, 16, 6)
    out += ["};", f"inline constexpr uint16_t kClassBlock[{len(first)}] = {{"]
    out += rows(first, 28, 3)
    out += ["};", f"inline constexpr uint8_t kClassIndex[{len(blocks)}][{BLOCK}] = {{"]
    for block in blocks:
        out += ["    {" + ",".join(map(str, block)) + "},"]
    out += ["};", f"inline constexpr LowerRange kLowerRanges[{len(ranges)}] = {{"]
    for i in range(0, len(ranges), 5):
        out.append("    " + " ".join("{0x%x, 0x%x, %d, %d}," % (a, b, max(s, 1), d) for a, b, s, d in ranges[i : i + 5]))
    out += ["};", "// clang-format on", ""]
    path = Path(__file__).resolve().parent.parent / "src" / "prep" / "unicode_tables.inc"
    path.write_text("\n".join(out))
    print(f"{path}: {len(kinds)} kinds, {len(blocks)} blocks, {len(ranges)} lower-case ranges", file=sys.stderr)


if __name__ == "__main__":
    main()
