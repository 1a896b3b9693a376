"""Collects plain documentation text from a Debian-like system: package documentation, manual pages
and package descriptions. Writes one JSON line per document: {"package", "path", "held_out", "blocks"},
where a block is [heading, text]. Left out altogether are the packages that `tests/eval/documentation.txt` is from;
3 % of the others, by hash of their name, are marked held out, for the losses that are watched while training.

    python corpus.py SCRATCH [EXTRA_DOC_ROOT ...]
"""
import gzip
import hashlib
import html.parser
import json
import pathlib
import random
import re
import subprocess
import sys

TEXT = re.compile(r"(readme|news|faq|howto|notes|todo|copyright|manual|guide|intro|index|\.txt|\.md|\.rst|\.html?|\.pod)", re.I)
SKIP = re.compile(r"(changelog|\.pdf|\.png|\.svg|\.css|\.js$|/api/|search|genindex)", re.I)
PER_FILE, PER_PACKAGE = 40_000, 250_000


# What tests/eval measures with, and what comes from the same authors. tests/eval.rs looks for these names.
LEFT_OUT = ("xz-utils", "liblzma", "xzdec", "pixz", "xz", "lzma", "unxz", "xzcat", "unlzma", "lzcat", "lzmainfo", "lzless", "lzmore", "lzgrep",
            "lzdiff", "lzcmp", "lzegrep", "lzfgrep", "xzless", "xzmore", "xzgrep", "xzdiff", "xzcmp", "xzegrep", "xzfgrep")


def left_out(package):
    return package.removeprefix("available-").startswith(LEFT_OUT)


def held_out(package):
    return hashlib.sha256(package.encode()).digest()[0] * 100 < 3 * 256


class Html(html.parser.HTMLParser):
    """The text of an HTML page as (heading, paragraph) blocks."""
    BLOCK = {"p", "li", "dd", "dt", "pre", "tr", "div", "h1", "h2", "h3", "h4", "br", "td"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.blocks, self.heading, self.text, self.skip, self.pre = [], "", "", 0, False

    def flush(self, tag=""):
        text = self.text if self.pre else " ".join(self.text.split())
        text = text.strip("\n")
        if tag in ("h1", "h2", "h3", "h4"):
            self.heading = text.strip()[:60]
        elif len(text) > 20:
            self.blocks.append([self.heading, text])
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style", "head", "nav"):
            self.skip += 1
        if tag in self.BLOCK:
            self.flush()
        if tag == "pre":
            self.pre = True

    def handle_endtag(self, tag):
        if tag in ("script", "style", "head", "nav"):
            self.skip = max(0, self.skip - 1)
        if tag in self.BLOCK:
            self.flush(tag)
        if tag == "pre":
            self.pre = False

    def handle_data(self, data):
        if not self.skip:
            self.text += data


def plain_blocks(text):
    """Paragraphs of a text file; a short line that looks like a title becomes the heading."""
    heading, out = "", []
    for part in re.split(r"\n\s*\n", text.replace("\t", "    ").replace("\r", "")):
        part = part.strip("\n")
        lines = part.split("\n")
        first = lines[0].strip()
        titled = len(lines) > 1 and re.fullmatch(r"[=\-~*#]{3,}", lines[1].strip())
        if titled or (len(lines) == 1 and 3 < len(first) < 50 and not first.endswith((".", ",", ";"))) or first.startswith("# "):
            heading = first.strip("#=* ")
            part = "\n".join(lines[2 if titled else 1:])
        part = re.sub(r"\A\n+|\s+\Z", "", part)
        if len(part) > 20:
            out.append([heading, part])
    return out


def man_blocks(text):
    """A manual page's source with the roff macros taken off, in paragraphs."""
    heading, out, now, fill = "", [], [], True

    def flush():
        body = ("\n" if not fill else " ").join(now).strip()
        if len(body) > 20:
            out.append([heading, body])
        now.clear()

    for line in text.split("\n"):
        line = re.sub(r'\\"(.*)|\\c$', "", line)
        line = re.sub(r"\\f(\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&|^,/]", "", line)
        line = re.sub(r"\\\((aq|cq|oq)|\\\[aq\]", "'", line)
        line = re.sub(r"\\\((lq|rq|dq)|\\\[[lrd]q\]", '"', line)
        line = re.sub(r"\\\((bu|em|en|hy|mi|ti|ha|co|..)|\\\[\w+\]|\\\*.", "-", line)
        line = line.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").replace("\\", "")
        macro = re.match(r"[.']\s*(\w+)\s*(.*)", line)
        if not macro:
            now.append(line.strip() if fill else line)
            continue
        name, rest = macro.group(1), macro.group(2).replace('"', "")
        if name in ("SH", "SS", "Sh", "Ss"):
            flush()
            heading = rest.title()[:60]
        elif name in ("PP", "P", "LP", "Pp", "TP", "IP", "sp", "It", "RS", "RE"):
            flush()
            if name in ("IP", "It") and rest:
                now.append(re.sub(r"\b(Fl) ", "-", re.sub(r"\b(Ar|Cm|Pa|Ns|Xo|Op)\b ?", "", rest)))
        elif name in ("nf", "EX", "Bd"):
            flush()
            fill = False
        elif name in ("fi", "EE", "Ed"):
            flush()
            fill = True
        elif name in ("B", "I", "BR", "IR", "RB", "RI", "BI", "IB", "Nm", "Xr", "Cm", "Pa", "Ar", "Fl"):
            if name in ("BR", "IR", "RB", "RI", "BI", "IB"):
                rest = rest.replace(" ", "")
            now.append(("-" if name == "Fl" else "") + rest)
    flush()
    return out


def read(path):
    data = path.read_bytes()[:400_000]
    if path.suffix == ".gz":
        data = gzip.decompress(path.read_bytes())[:400_000]
    text = data.decode("utf-8", "ignore")
    return text if text.count("\0") == 0 else ""


def from_doc(root, rng):
    for package in sorted(p for p in root.iterdir() if p.is_dir()):
        files = [f for f in package.rglob("*") if f.is_file() and not f.is_symlink() and TEXT.search(f.name) and not SKIP.search(str(f))]
        rng.shuffle(files)
        used = 0
        for f in files[:80]:
            try:
                text = read(f)
            except (OSError, EOFError):
                continue
            if ".htm" in f.name:
                page = Html()
                page.feed(text)
                page.flush()
                blocks = page.blocks
            else:
                blocks = plain_blocks(text[:PER_FILE])
            size, keep = 0, []
            for block in blocks:
                size += len(block[1])
                if size > PER_FILE:
                    break
                keep.append(block)
            used += min(size, PER_FILE)
            yield package.name, f"{package.name}/{f.relative_to(package)}".removesuffix(".gz"), keep
            if used > PER_PACKAGE:
                break


def from_man(root, rng, most=6000):
    pages = [f for s in "1235678" for f in (root / f"man{s}").glob("*") if f.is_file() and not f.is_symlink()]
    rng.shuffle(pages)
    families, taken = {}, 0
    for f in pages:
        name = f.name.split(".")[0]
        family = re.split(r"[-_]", name)[0]
        families[family] = families.get(family, 0) + 1
        if families[family] > 60 or taken >= most:
            continue
        taken += 1
        try:
            yield family, f"man/{f.name.removesuffix('.gz')}", man_blocks(read(f)[:PER_FILE])
        except (OSError, EOFError):
            continue


def from_packages():
    """One document per package description; short ones of packages that are not installed are grouped as lists."""
    out = subprocess.run(["dpkg-query", "-W", "-f", "@@${Package}\n${Description}\n"], capture_output=True, text=True).stdout
    for entry in out.split("@@")[1:]:
        name, short, *rest = entry.split("\n", 2)
        # The one-line description is the heading: samples.py uses it as the summary of the paragraphs.
        blocks = [[short.strip(), " ".join(p.split())] for p in re.split(r"\n \.\n", "".join(rest)) if len(p) > 20]
        yield name, f"packages/{name}", blocks
    out = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    names = re.findall(r"^Package: (.*)$(?:\n.+)*?\nDescription: (.*)$", out, re.M)
    for i in range(0, len(names) - 4, 4):
        if names[i][0].startswith("lib") and i % 12:
            continue
        lines = "\n".join(f"{n}: {d}" for n, d in names[i:i + 4])
        yield "available-" + names[i][0], f"packages/list-{names[i][0][0]}.txt", [["Packages", lines]]


def main(scratch, *roots):
    rng = random.Random(1)
    target = pathlib.Path(scratch)
    target.mkdir(parents=True, exist_ok=True)
    counts, seen = {}, set()
    with open(target / "corpus.jsonl", "w") as out:
        sources = [from_doc(pathlib.Path(r), rng) for r in ("/usr/share/doc", *roots)]
        sources += [from_man(pathlib.Path("/usr/share/man"), rng), from_packages()]
        for source in sources:
            for package, path, blocks in source:
                if left_out(package):
                    continue
                fresh = []
                for heading, text in blocks:
                    key = hash(" ".join(text.split())[:200])
                    if key not in seen:
                        seen.add(key)
                        fresh.append([heading, text])
                if fresh:
                    out.write(json.dumps({"package": package, "path": path, "held_out": held_out(package), "blocks": fresh}) + "\n")
                    side = "held out" if held_out(package) else "training"
                    counts[side] = counts.get(side, 0) + sum(len(b[1]) for b in fresh)
    print(counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
