#!/usr/bin/env python3
"""Checks the rules of the tree that a compiler does not: layers, privacy, and who may throw, print or read variables.

    tools/check_tree.py [ROOT]     prints file:line: message for each breach; exit code 1 if there is one

It reads text: comments and literals are blanked before words are looked for, macros are not expanded. The rules and
the reasons for them are in docs/ARCHITECTURE.md. Tests (x_test.cpp, x_fuzz.cpp, test_x.h, testing.h) may throw and
print; a .cpp may leave the comment at the head to its header.
"""
import pathlib
import re
import sys

CAP = 1000  # lines a file, unless "// generated" stands in the first three
CODE = {".h", ".cpp", ".inl", ".inc"}
TEXT = CODE | {".py", ".sh", ".cmake"}
ISA_FOLDERS = {"avx2", "avx512", "amx", "scalar", "generic"}
# An inline std:: function compiled for AVX-512 may be the copy that the linker keeps for everybody: only headers
# without functions are let into files that are built for one instruction set.
ISA_HEADERS = {"immintrin.h", "cstdint", "cstddef"}
SHARED_FOLDERS = {"tensor/formats"}  # block layouts: one public header each

# word, what it is called, where it may stand (a path under src/ or a folder with a slash), whether tests are free of it
WORDS = [
    (r"\b(?:secure_)?getenv\b", "getenv", ["base/env.cpp"], False),
    (r"\bthrow\b", "throw", ["base/check.cpp", "base/thread_pool.cpp", "python/errors.cpp"], True),
    (r"\bcatch\s*\(", "catch", ["base/thread_pool.cpp", "cli/entry.cpp", "python/errors.cpp", "python/task.cpp",
                              "search/hnsw/graph.cpp"], True),
    (r"\bstd::c(?:out|err|log)\b|\b(?:v?f?printf|f?puts|putchar|perror)\s*\(|\b(?:fmt|std)::print(?:ln)?\b",
     "printing", ["base/log.cpp", "cli/"], True),
    (r"\bstd::w?regex\b|#\s*include\s*<regex>", "std::regex", [], False),
    (r":\s*(?:std::)?(?:fs|filesystem)::(?:recursive_)?directory_iterator\b",
     "a range-for over a folder (its ++ throws; use increment)", [], True),
]
TEST = re.compile(r"(?:_test|_fuzz)\.cpp$|/test(?:ing|_\w+)\.h$")
LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\[^\'\n]+|[^\'\\\n])\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
# Names of variables: arguments of env(), and literals that look like one of ours or of a tool we read settings of.
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")  # of a document, to a file
VARIABLE = re.compile(r'\benv\(\s*"(\w+)"|"((?:MIAO|HF|PIP)_[A-Z0-9_]+)"')


def blank(text):
    """The text with comments and literals gone and every line still in its place."""
    return LITERAL.sub(lambda m: "\n" * m.group().count("\n") or '""', text)


def includes(name, text, ranks):
    """Breaches of layer, privacy and ISA rules of one file; name is its path under src/."""
    parts = name.split("/")
    module = parts[0]
    isa = module == "kernels" and len(parts) > 2 and parts[1] in ISA_FOLDERS and not TEST.search(name)
    for number, line in enumerate(text.split("\n"), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        path = found[1] or found[2]
        target, *rest = path.split("/")
        if not rest or target not in ranks:
            if found[1]:
                yield number, f'"{path}" names no module of src/LAYERS: write "module/file.h", or <...> for a library'
            elif isa and path not in ISA_HEADERS:
                yield number, f"<{path}> in a file built for one instruction set (allowed: {', '.join(sorted(ISA_HEADERS))})"
            continue
        if target != module and ranks[target] >= ranks[module]:
            yield number, f"{module} (rank {ranks[module]}) includes {path} (rank {ranks[target]}): only lower ranks"
        if target != module and len(rest) > 1 and "/".join((target, *rest[:-1])) not in SHARED_FOLDERS:
            yield number, f"{path} is private to {target}: only {target}/*.h is public"
        if isa and target not in ("kernels", "tensor"):
            yield number, f"{path} in a file built for one instruction set: only kernels/ and tensor/"


def words(name, text):
    """Breaches of the word rules of one file."""
    is_test = TEST.search(name)
    for number, line in enumerate(blank(text).split("\n"), 1):
        for pattern, what, places, tests_free in WORDS:
            allowed = any(name == place or place.endswith("/") and name.startswith(place) for place in places)
            if not allowed and not (tests_free and is_test) and re.search(pattern, line):
                yield number, f"{what} belongs in {' or '.join(places) or 'no file'}"


def style(path, text):
    """Breaches that any text file can have: characters, length, the comment at its head."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            yield number, "not ASCII: use an escape"
    if len(lines) > CAP + 1 and not any("// generated" in line for line in lines[:3]):
        yield CAP, f"over {CAP} lines: split the file"
    documented = text.startswith("//") or TEST.search("/" + path.name) or path.suffix == ".cpp" and path.with_suffix(".h").exists()
    if path.suffix in (".h", ".cpp", ".inl") and not documented:
        yield 1, "no comment at the head: say what the file is, its data layout, and why this way"


def links(root):
    """Relative links of the documents that lead nowhere."""
    for path in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")]):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            for target in LINK.findall(line):
                if not (path.parent / target).exists():
                    yield f"{path.relative_to(root)}:{number}: a link to {target}, which is not there"


def check(root):
    """All breaches of a tree as 'file:line: message'."""
    root = pathlib.Path(root)
    ranks = {module: int(rank) for rank, module in
             (line.split() for line in (root / "src/LAYERS").read_text().splitlines() if line[:1].isdigit())}
    out, read, literals = [], {}, set()  # read: environment variable -> where
    for path in sorted(root.glob("src/*/**/*")):
        if path.suffix in CODE and path.relative_to(root).parts[1] not in ranks:
            out.append(f"{path.relative_to(root)}:1: its module is not in src/LAYERS")
    for folder in ("src", "python", "tools", "scripts", "cmake", "bench", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in TEXT or not path.is_file():
                continue
            shown, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8", errors="replace")
            found = list(style(path, text))
            name = shown.removeprefix("src/")
            if folder == "src" and path.suffix in CODE and name.split("/")[0] in ranks:
                found += [*includes(name, text, ranks), *words(name, text)]
                if not TEST.search(name):
                    read |= {a or b: shown for a, b in VARIABLE.findall(text)}
                    literals |= set(re.findall(r'"(\w+)"', text))
            out += [f"{shown}:{number}: {message}" for number, message in sorted(found)]
    page = root / "docs/environment.md"
    rows = re.findall(r"^\| (`[^|]*) \|", page.read_text(), re.M) if page.exists() else []
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    out += [f"{read[v]}:1: variable {v} is not in docs/environment.md" for v in sorted(read.keys() - listed)]
    out += [f"docs/environment.md:1: variable {v} is read nowhere in src" for v in sorted(listed - literals)]
    return out + list(links(root))


if __name__ == "__main__":
    breaches = check(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    print("\n".join(breaches) if breaches else "tree ok")
    sys.exit(1 if breaches else 0)
