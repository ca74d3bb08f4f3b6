"""Golden cases of the tokenizer, by a second implementation that shares no code with the first.

usage: make_cases.py TINY.json > cases.json      writes cases for the variants below
       make_cases.py --check TOKENIZER.json CASES.jsonl      compares with recorded cases: {"text", "ids", ...} a line

It is the plainest form of the algorithm: all pairs of a word are looked at again after every merge. Needs Debian's
python3-regex (patterns) and nothing else.
"""
import json
import sys
import unicodedata

import regex

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def alphabet():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(0x100 + i) for i, b in enumerate(others)}


SPELL = alphabet()
BYTE = {c: b for b, c in SPELL.items()}


def spell(text):
    return "".join(SPELL[b] for b in text.encode())


def parts(spec, key):
    if spec is None:
        return []
    return [q for p in spec[key] for q in parts(p, key)] if spec["type"] == "Sequence" else [spec]


def pattern(spec):
    return regex.escape(spec["String"]) if "String" in spec else spec["Regex"]


def normalize(spec, text):
    for step in parts(spec, "normalizers"):
        kind = step["type"]
        if kind in ("NFC", "NFD", "NFKC", "NFKD"):
            text = unicodedata.normalize(kind, text)
        elif kind == "Lowercase":
            text = "".join(c.lower() for c in text)
        elif kind == "Strip":
            text = text.lstrip() if step["strip_left"] else text
            text = text.rstrip() if step["strip_right"] else text
        elif kind == "Prepend":
            text = step["prepend"] + text if text else text
        elif kind == "Replace":
            text = regex.sub(pattern(step["pattern"]), lambda _: step["content"], text)
        else:
            raise ValueError(kind)
    return text


def split(text, expression, behavior="Isolated", invert=False):
    pieces, at = [], 0  # (piece, matched)
    for match in regex.finditer(expression, text, regex.MULTILINE):
        if match.start() > at:
            pieces.append((text[at:match.start()], invert))
        pieces.append((match.group(), not invert))
        at = match.end()
    if at < len(text):
        pieces.append((text[at:], invert))
    if behavior == "Removed":
        return [p for p, matched in pieces if p and not matched]
    joined, before = [], None
    for piece, matched in pieces:
        if before is not None and (
            behavior == "Contiguous" and matched == before
            or behavior == "MergedWithPrevious" and matched and not before
            or behavior == "MergedWithNext" and before and not matched
        ):
            joined[-1] += piece
        else:
            joined.append(piece)
        before = matched
    return [p for p in joined if p]


def pretokenize(spec, text):
    pieces, spelled = [text] if text else [], False
    for step in parts(spec, "pretokenizers"):
        kind = step["type"]
        if kind == "ByteLevel":
            if step["add_prefix_space"]:
                pieces = [p if p.startswith(" ") else " " + p for p in pieces]
            if step.get("use_regex", True):
                pieces = [q for p in pieces for q in split(p, GPT2)]
            pieces, spelled = [spell(p) for p in pieces], True
        elif kind == "Split":
            args = pattern(step["pattern"]), step["behavior"], step.get("invert", False)
            pieces = [q for p in pieces for q in split(p, *args)]
        elif kind == "Digits":
            behavior = "Isolated" if step["individual_digits"] else "Contiguous"
            pieces = [q for p in pieces for q in split(p, r"\p{N}", behavior)]
        elif kind == "Punctuation":
            pieces = [q for p in pieces for q in split(p, r"[\p{P}$+<=>^`|~]", step.get("behavior", "Isolated"))]
        else:
            raise ValueError(kind)
    assert spelled
    return pieces


def merge(model, ranks, word):
    vocab, unk = model["vocab"], model.get("unk_token")
    if model.get("ignore_merges") and word in vocab:
        return [vocab[word]]
    symbols = list(word)
    while True:
        pairs = [(ranks[pair], i) for i, pair in enumerate(zip(symbols, symbols[1:])) if pair in ranks]
        if not pairs:
            break
        _, i = min(pairs)
        symbols[i : i + 2] = ["".join(symbols[i : i + 2])]
    ids, unknown = [], False
    for symbol in symbols:
        if symbol in vocab:
            ids.append(vocab[symbol])
        elif unk is not None and not (unknown and model.get("fuse_unk")):
            ids.append(vocab[unk])
        unknown = symbol not in vocab
    return ids


def find_added(text, tokens):
    """Yields text and tokens, from left to right and the longest first; tokens as dictionaries."""
    if not tokens:
        yield text
        return
    tokens = sorted(tokens, key=lambda t: -len(t["content"]))
    done = 0
    for match in regex.finditer("|".join(regex.escape(t["content"]) for t in tokens), text):
        token = next(t for t in tokens if t["content"] == match.group())
        begin, end = match.span()
        if token["single_word"] and (regex.search(r"\w\Z", text[:begin]) or regex.match(r"\w", text[end:])):
            continue
        if token["lstrip"]:
            begin = max(done, len(text[:begin].rstrip()))
        if token["rstrip"]:
            end += len(text[end:]) - len(text[end:].lstrip())
        yield text[done:begin]
        yield token
        done = end
    yield text[done:]


class Tokenizer:
    def __init__(self, file):
        self.file, self.model = file, file["model"]
        pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in self.model["merges"]]
        self.ranks = {pair: rank for rank, pair in enumerate(pairs)}
        self.in_text = [t for t in file["added_tokens"] if not t["normalized"]]
        self.in_normalized = [t | {"content": normalize(file["normalizer"], t["content"])}
                              for t in file["added_tokens"] if t["normalized"]]

    def encode(self, text):
        ids = []
        for stretch in find_added(text, self.in_text):
            if isinstance(stretch, dict):
                ids.append(stretch["id"])
                continue
            stretch = normalize(self.file["normalizer"], stretch)
            for part in find_added(stretch, self.in_normalized):
                if isinstance(part, dict):
                    ids.append(part["id"])
                    continue
                for word in pretokenize(self.file["pre_tokenizer"], part):
                    ids += merge(self.model, self.ranks, word)
        return ids

    def encode_with_special(self, text):
        before, after = [], []
        for step in parts(self.file["post_processor"], "processors"):
            if step["type"] == "TemplateProcessing":
                target = before
                for piece in step["single"]:
                    if "Sequence" in piece:
                        target = after
                    else:
                        target += step["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
            elif step["type"] in ("RobertaProcessing", "BertProcessing"):
                before, after = [step["cls"][1]], [step["sep"][1]]
        return before + self.encode(text) + after


TEXTS = [
    "", "a", " ", "  ", "\n", "\n\n", "\t", "Hello world", "Hello, world!", " leading space", "trailing space ",
    "two  spaces", "   three leading", "tabs\tand\nnewlines", "line one\r\nline two\r\n", "\n head", "tail\n",
    "  \n  mixed  \t\n x", "Don't can't I'm you're we've he'd she'll it's", "DON'T CAN'T I'M", "I'll'll 's 't 're",
    "don’t ‘curly’ “double” — dash … dots", "0 1 12 123 1234 12345 3.14 1,000,000 007", "1st 2nd a1b22c333",
    "café naïve résumé", "cafe\u0301 combining", "\u0301\u0301 marks first", "Ångström ß ı İ", "日本語 中文 한국어",
    "Привет мир", "مرحبا", "नमस्ते", "😀 😀😀 👩\u200d👧 🇫🇷", "a\u00a0b\u2003c\u3000d", "zero\u200bwidth\ufeff",
    "ﬁ ligature ① ② ½ ² ™", "x=1; y+=2 // comment", "(a) [b] {c} <d>", "!!!???...", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ALL CAPS MixedCase camelCase snake_case HTTPServer", "\x00\x01\x7f control", "$5.00 €3 £2 ¥1", "٣٤٥ १२३ ½6789",
    "<s> </s><pad>", "a <mask> b<mask>c", "  <mask>  ", "tag wordtag tag. tag", "x <end>  y<end>", "NAME name Name",
    "The little princess went up the mountain, and the goblins were afraid of her feet.",
]


def byte_level(**changes):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | changes


def cut(expression, behavior="Isolated", invert=False):
    key = "String" if expression == " " else "Regex"
    return {"type": "Split", "pattern": {key: expression}, "behavior": behavior, "invert": invert}


def pretokenizers(*steps):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def normalizers(*steps):
    return {"normalizer": {"type": "Sequence", "normalizers": list(steps)}}


def added(identity, content, **changes):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": identity, "content": content} | flags | changes


def variants(tiny):
    """Name to the fields that differ from the tiny tokenizer."""
    raw = byte_level(use_regex=False)
    cl100k = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
              r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    o200k = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ll)?"
             r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}{1,3}"
             r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    size = len(tiny["model"]["vocab"])
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                "pair": [],
                "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 1), ("</s>", 2))}}
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True,
               "add_prefix_space": True}
    missing = {token: None for token in ("Ð", "ĉ", "å")}  # bytes without a token, and in no merge
    return {
        "plain": {},
        "prefix space, template": {"pre_tokenizer": byte_level(add_prefix_space=True), "post_processor": template},
        "no pattern, prefix space": {"pre_tokenizer": byte_level(add_prefix_space=True, use_regex=False)},
        "cl100k": pretokenizers(cut(cl100k), raw),
        "o200k": pretokenizers(cut(o200k), raw),
        "digits": pretokenizers({"type": "Digits", "individual_digits": True}, byte_level()),
        "punctuation, digits and triples of the spelling": pretokenizers(
            {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(),
            {"type": "Digits", "individual_digits": False}, cut("[0-9][0-9][0-9]"), cut(".{1,4}")),
        "lines, ends of lines": pretokenizers(cut(r"[\r\n]"), cut(r"\s+$"), raw),
        "removed": pretokenizers(cut(" ", "Removed"), raw),
        "merged with previous": pretokenizers(cut(" ", "MergedWithPrevious"), raw),
        "merged with next": pretokenizers(cut(" ", "MergedWithNext"), raw),
        "contiguous, inverted": pretokenizers(cut(r"\p{L}", "Contiguous", True), raw),
        "empty matches": pretokenizers(cut(r"(?=(\d{3})+(?!\d))"), raw),
        "lower case": {"normalizer": {"type": "Lowercase"}},
        "NFC": {"normalizer": {"type": "NFC"}},
        "NFD, strip": normalizers({"type": "NFD"}, {"type": "Strip", "strip_left": True, "strip_right": True}),
        "NFKC as GPT-BERT": normalizers(
            {"type": "Prepend", "prepend": " "}, {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": "\n"}, "content": "\n "},
            {"type": "Replace", "pattern": {"Regex": " *\n"}, "content": "\n"}) | {
                "decoder": {"type": "Sequence", "decoders": [
                    byte_level(), {"type": "Strip", "content": " ", "start": 1, "stop": 0},
                    {"type": "Replace", "pattern": {"String": "\n "}, "content": "\n"}]}},
        "added tokens": {"normalizer": {"type": "Lowercase"}, "post_processor": roberta, "added_tokens": [
            added(1, "<s>"), added(2, "</s>"), added(size, "<mask>", lstrip=True),
            added(size + 1, "tag", single_word=True, special=False), added(size + 2, "<end>", rstrip=True),
            added(size + 3, "Name", normalized=True, special=False), added(size + 4, "<end> y", special=False)]},
        "unknown bytes": {"model": {"vocab": missing, "unk_token": "<pad>"}},
        "unknown bytes, fused": {"model": {"vocab": missing, "unk_token": "<pad>", "fuse_unk": True}},
        "unknown bytes, left out": {"model": {"vocab": missing}},
        "ignored merges": {"model": {"vocab": {"ĠHello": size, "Hello": size + 1}, "ignore_merges": True}},
        "merges as strings": {"model": {"merges": [" ".join(m) for m in tiny["model"]["merges"]]}},
    }


def patched(tiny, patch):
    """Fields of `patch` replace those of the file; those of the model and its vocabulary one by one, null removes."""
    file = tiny | {k: v for k, v in patch.items() if k != "model"}
    file["model"] = tiny["model"] | patch.get("model", {})
    vocab = tiny["model"]["vocab"] | patch.get("model", {}).get("vocab", {})
    file["model"]["vocab"] = {token: i for token, i in vocab.items() if i is not None}
    return file


def make(path):
    tiny = json.load(open(path))
    cases = []
    for name, patch in variants(tiny).items():
        tokenizer = Tokenizer(patched(tiny, patch))
        case = {"name": name, "patch": patch, "ids": [tokenizer.encode(t) for t in TEXTS]}
        if "post_processor" in patch:
            case["ids_with_special"] = [tokenizer.encode_with_special(t) for t in TEXTS]
        cases.append(case)
    print("{\n", json.dumps("texts"), ": ", json.dumps(TEXTS), ",\n", json.dumps("variants"), ": [", sep="")
    print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases), "]}", sep="\n")


def check(path, recorded):
    tokenizer, wrong, total = Tokenizer(json.load(open(path))), 0, 0
    for case in map(json.loads, open(recorded)):
        total += 1
        same = tokenizer.encode(case["text"]) == case["ids"]
        if "ids_with_special" in case:
            same &= tokenizer.encode_with_special(case["text"]) == case["ids_with_special"]
        if not same:
            wrong += 1
            print("differs:", repr(case["text"]))
    print(f"{total - wrong} of {total} cases equal")
    return wrong


if sys.argv[1] == "--check":
    sys.exit(check(sys.argv[2], sys.argv[3]) > 0)
make(sys.argv[1])
