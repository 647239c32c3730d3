"""Strings for tools/tokenizer_oracle.py, from a fixed seed: every plane of Unicode, runs of blanks and line breaks, broken
UTF-8, digits, CJK, emoji, combining marks, mixed scripts, code, control tokens."""
import random

WORDS = """the of and to in is that it was for on are as with his they at be this from have or by one had not but what
all were when we there can an your which their said if do will each about how up out them then she many some so these
would other into has more her two like him see time could no make than first been its who now people my made over did
down only way find use may water long little very after words called just where most know I'm don't we've they'll
IT'S YOU'RE He'd can't could've Tokenization internationalization antidisestablishmentarianism naive cafe resume
def return import class print(f"{x}") std::vector<int> -> {} [] () == != <= // /* */ #include https://example.com/a?b=c&d=1
user@example.org 3.14159 1,000,000 0xDEADBEEF 12:34:56 2024-01-31 $5.00 50% C++ C# .NET node.js a_b_c camelCaseWord SNAKE_CASE
Stra\u00dfe gr\u00f6\u00dfer \u00c4rger \u00e9\u00e8\u00ea\u00eb \u00f1and\u00fa a\u00e7\u00e3o cora\u00e7\u00e3o \u0130stanbul \u0131ss\u0131z \u015dan\u011do \u0141\u00f3d\u017a \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u1f08\u03b8\u1fc6\u03bd\u03b1\u03b9 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \u039f\u0394\u039f\u03a3 \u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u0423\u043a\u0440\u0430\u0457\u043d\u0430
\u4f60\u597d \u4e16\u754c \u4e2d\u6587\u5206\u8bcd \u65e5\u672c\u8a9e \u30c6\u30ad\u30b9\u30c8 \u3072\u3089\u304c\u306a \u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \ubb38\uc7a5 \u0e44\u0e17\u0e22\u0e20\u0e32\u0e29\u0e32 \u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e \u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0627\u0644\u0633\u0644\u0627\u0645 \u05e2\u05d1\u05e8\u05d9\u05ea \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u0540\u0561\u0575\u0565\u0580\u0565\u0576
\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd 1\ufe0f\u20e3 \u2764\ufe0f \u00bd \u00b2 \u2167 \u2460 \u0663\u0664\u0665 \u096a\u096b \u4e09 \u3007
\ufb01ligature \ufb00 \u338f \u337f \u00c5 \u00c5 e\u0301 a\u0308\u0323 \u1e0b\u0323 Vi\u1ec7t Nam Vie\u0323\u0302t \u200b zero\u200bwidth soft\u00adhyphen \ufeffbom
""".split()
BLANKS = [" ", "  ", "   ", "\t", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u200b", "\u1680", "    ", " \t "]
BREAKS = ["\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\n\n\n ", "\n\t"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["'s", "'S", "'ll", "'LL", "'\u017f", "'re", "''", "...", "\u2026", "\u3002", "\uff0c", "\u00ab", "\u2014", "\u201c", "\u2019s", "\u0964", "\u06d4", "\u060c"]
DIGIT = list("0123456789") + ["12", "345", "6789", "1234567", "\u0663", "\u00b2", "\u00bd", "\u2167", "\u0967", "\U0001d7d8", "\u3007", "\u4e09"]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x328, 0x345, 0x591, 0x5B0, 0x64B, 0x93C, 0x94D, 0x9CD, 0xE38, 0xE48, 0x1DC0, 0x20D0, 0x20DD, 0x302A, 0x3099, 0xFE0F, 0x1D165, 0xE0100)]


def any_point(rng):
    while True:
        plane = rng.random()
        if plane < 0.5:
            c = rng.randrange(0x20, 0x3000)
        elif plane < 0.8:
            c = rng.randrange(0x3000, 0x10000)
        elif plane < 0.9:
            c = rng.randrange(0x10000, 0x20000)
        else:
            c = rng.randrange(0x110000)
        if not 0xD800 <= c <= 0xDFFF and c not in (0x0A, 0x0D):
            return chr(c)


def make_string(rng, specials, breaks):
    style = rng.random()
    parts = []
    n = rng.choice((1, 2, 3, 5, 8, 13, 21, 40))
    word = lambda: rng.choice(WORDS)
    blank = lambda: rng.choice(BLANKS + (BREAKS if breaks else []))
    if style < 0.3:  # text
        for _ in range(n):
            parts += [word(), rng.choice((" ", " ", " ", blank(), rng.choice(PUNCT), ""))]
    elif style < 0.45:  # everything beside everything
        pick = (word, blank, lambda: rng.choice(PUNCT), lambda: rng.choice(DIGIT), lambda: rng.choice(MARKS), lambda: any_point(rng))
        parts = [rng.choice(pick)() for _ in range(n)]
    elif style < 0.55:
        parts = [any_point(rng) for _ in range(n)]
    elif style < 0.62:  # blanks
        parts = [blank() if rng.random() < 0.8 else rng.choice(WORDS + PUNCT) for _ in range(n)]
    elif style < 0.7:
        parts = [rng.choice(DIGIT) if rng.random() < 0.8 else rng.choice(PUNCT + [" "]) for _ in range(n)]
    elif style < 0.78:  # marks on letters
        for _ in range(n):
            parts += [rng.choice((word(), any_point(rng), "a", "E", "\u05e9", "\u0915", "\uac00", "\u1100\u1161"))]
            parts += [rng.choice(MARKS) for _ in range(rng.randrange(4))]
    elif style < 0.86:  # letters of mixed case and scripts without blanks
        parts = [rng.choice(("a", "B", "\u01c5", "\u02b0", "\u05d0", "\u4e00", "\u0301", "\u0431", "\u0412", "'s", "'T", "1", "_", "-", word())) for _ in range(n)]
    elif style < 0.94 and specials:
        for _ in range(n):
            parts += [rng.choice(specials) if rng.random() < 0.4 else word(), rng.choice(("", " ", "  ", blank(), "x"))]
    else:  # broken UTF-8 (as surrogate escapes)
        for _ in range(n):
            raw = bytes(rng.randrange(128, 256) for _ in range(rng.randrange(1, 4))) if rng.random() < 0.5 else word().encode()[: rng.randrange(1, 9)]
            parts.append(raw.decode("utf-8", "surrogateescape"))
    return "".join(parts)


def make_strings(seed, count, specials, breaks=False):
    rng = random.Random(seed)
    out = []
    while len(out) < count:
        s = make_string(rng, specials, breaks)
        if s and (breaks or not any(c in s for c in "\n\r")):
            out.append(s.encode("utf-8", "surrogateescape"))
    return out


def lossy(raw):
    return raw.decode("utf-8", "replace")


def specials_of(doc):
    texts = [t["content"] for t in doc["added_tokens"]]
    return texts[:8] + texts[-8:] + [texts[0][:-1], texts[0].upper()] if texts else []
