#!/usr/bin/env python3
"""Checks the language of comments, messages, names and documents: plain technical English.

  tests/language.py [--summary] [--check] [PATH...]

Prints each finding as PATH:LINE, then a table of counts and limits. PATH is a file or folder; the
default is the whole repository. --summary prints the table only. --check fails when a limit is
exceeded; without it the exit code is 0.

Checked: words (WORDS below, with their replacements), doc comments that begin with a
question word, the share of inline comments, the length of test names and of commit subjects.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Pattern of a word, its replacement, and the maximum number of occurrences per 10,000 words of comments
# and of documents. Messages (string literals outside tests) and names must not contain the word.
WORDS = [
    (r"tells?|told|telling", "return, report, print, indicate", 1),
    (r"stands?|stood", "is, applies, is written", 1),
    (r"nobody|somebody|everybody|anybody|whoever|anyone|someone|everyone", "name the component", 1),
    (r"asks?|asked|asking", "request, query, call", 3),
    (r"answers?|answered|answering|unanswered", "response, return, respond", 3),
    (r"repl(?:y|ies|ied|ying)", "response, respond", 3),
    (r"refusals?|refus(?:e|es|ed|ing)", "reject, rejection", 3),
    (r"damages?|damaged|damaging", "corruption, corrupt", 3),
    (r"says?|said|saying", "state, describe, report, define", 3),
    (r"behind", "after", 4),
    (r"hears?|heard", "receive", 0),
    (r"inflat(?:e|es|ed|ing|ers?)", "decompress", 0),
    (r"mend(?:s|ed|ing)?", "fix, repair", 0),
    (r"stretch(?:es)?", "range, file range", 0),
    (r"roomy", "large", 0),
    (r"begun", "started", 0),
    (r"ours|theirs", "name the owner", 0),
    (r"greatest", "maximum, max", 0),
    (r"(?<!at )least(?![ -](?:recently|significant|privilege))", "minimum, min", 0),
    (r"parked", "delayed", 0),
    (r"cards?", "startup banner", 0),
    (r"wish(?:es|ed)?", "request", 0),
    (r"judges?|judged|judging", "check, evaluate, oracle", 0),
    (r"spoken|speaks?|spoke", "support, use", 0),
]
# Phrases, checked in prose and messages only.
PHRASES = [
    (r"look-ups?", "lookup", 0),
    (r"for good(?! (?:reason|measure))", "permanently", 0),
    (r"gives? up|given up|giving up", "abort, stop, delete", 0),
    (r"(?:comes?|came|coming) to(?! (?:the|an?) )", "becomes, is", 0),
    (r"so many", "this many, N", 0),
    (r"(?:topics?|groups?|partitions?|segments?|subjects?)(?: \w+)? (?:is|are|was|were|be|been|being) made|ma(?:kes?|de|king) (?:a |an |the |its )?(?:topics?|partitions?|segments?)", "created, creates", 0),
    (r"what an? [\w-]+ (?:is|are|does|has|holds|says|comes)", "use a noun", 0),
    (r"that is none|that are none", "unknown, invalid", 0),
]
# Text that contains one of the words with another meaning, such as names in third-party software.
OTHER_MEANING = re.compile(
    r"connection ?refused|ConnectionRefused|connection_refused|ECONNREFUSED|spare_capacity|"
    r"Reply[A-Z]\w+|at_least|AtLeast|least_recently|wild ?cards?|say-so|fall(?:s|ing)? behind|lag(?:s|ging)? behind",
    re.IGNORECASE,
)
RETURNS = re.compile(r"\breturn(?:s|ed|ing)?\b", re.IGNORECASE)
RETURNS_MIN = 30
QUESTIONS = re.compile(r"(?:What|Whether|Where|How|Who|Whose|Whom|Why|When|Which|Whatever)\b")
QUESTION_DOCS_MAX_PERCENT = 6.0
INLINE_MIN_PERCENT = 2.0
TEST_NAME_WORDS_MAX = 7
COMMITS_CHECKED = 60
SUBJECT_CHARACTERS_MAX = 72

RUST = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<raw>[bc]?r(?P<hash>\#*)".*?"(?P=hash))
      | (?P<string>[bc]?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\[^\n']*'?|[^'\\\n])')
      | (?P<life>'[A-Za-z_]\w*)
      | (?P<name>(?:r\#)?[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
PLAIN_NAME = re.compile(r"[\w./:{}%?&=<>#$,@*+-]*")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
DEFINING_KEYWORDS = {"fn", "struct", "enum", "trait", "type", "mod", "const", "static", "let", "mut", "union"}
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))? )?mod (\w+);")
TEST_ATTRIBUTE = re.compile(r"#\[(?:\w+::)?test\b")


def compile_rules(words):
    return [(re.compile(rf"\b(?:{word})\b", re.IGNORECASE), replacement, limit, word) for word, replacement, limit in words]


WORD_RULES = compile_rules(WORDS)
PROSE_RULES = WORD_RULES + compile_rules(PHRASES)
ANY_PROSE = re.compile("|".join(f"(?:{rule[0].pattern})" for rule in PROSE_RULES), re.IGNORECASE)
ANY_WORD = re.compile("|".join(f"(?:{rule[0].pattern})" for rule in WORD_RULES), re.IGNORECASE)


class Report:
    def __init__(self):
        self.findings = []
        self.counts = {"comments": Counter(), "messages": Counter(), "names": Counter(), "documents": Counter()}
        self.words = Counter()
        self.returns = 0
        self.docs = self.questions = 0
        self.code_lines = self.inline = 0
        self.names = {}

    def prose(self, kind, path, line, text):
        """Counts the words of a text that starts at `line`."""
        text = OTHER_MEANING.sub(" ", text)
        self.words[kind] += len(re.findall(r"[A-Za-z][A-Za-z'-]*", text))
        if not ANY_PROSE.search(text):
            return
        for pattern, replacement, limit, key in PROSE_RULES:
            for match in pattern.finditer(text):
                self.counts[kind][key] += 1
                at = line + text.count("\n", 0, match.start())
                word = " ".join(match.group(0).split())
                self.findings.append((path, at, f"{word!r} in {kind}: {replacement}"))

    def comment(self, path, line, text):
        self.prose("comments", path, line, text)
        self.returns += len(RETURNS.findall(text))

    def name(self, path, line, name, defines):
        if name not in self.names or (defines and not self.names[name][2]):
            self.names[name] = (path, line, defines)

    def check_names(self):
        for name, (path, line, _) in self.names.items():
            spaced = OTHER_MEANING.sub(" ", " ".join(CAMEL.split(OTHER_MEANING.sub("_", name))))
            if not ANY_WORD.search(spaced):
                continue
            for pattern, replacement, _, key in WORD_RULES:
                if pattern.search(spaced):
                    self.counts["names"][key] += 1
                    self.findings.append((path, line, f"name {name}: {replacement}"))


def test_modules(sources):
    """Returns the paths, without extension, of modules that are compiled for tests only."""
    found = set()
    for path in sources:
        if path.endswith(".rs"):
            folder, _, name = path.rpartition("/")
            inner = folder if name in ("mod.rs", "lib.rs", "main.rs") else path[: -len(".rs")]
            text = (ROOT / path).read_text(encoding="utf-8")
            found.update(f"{inner}/{module}" for module in TEST_MODULE.findall(text))
    return tuple(found)


def is_test_path(path, modules):
    parts = path.split("/")
    if any(path.startswith((f"{module}.", f"{module}/")) for module in modules):
        return True
    return parts[0] in ("tests", "benches", "fuzz") or "tests" in parts or parts[-1] == "tests.rs"


def read_rust(report, path, text, modules):
    test_module = re.search(r"^#\[cfg\(test\)\]\n(?:#\[[^\n]*\n)*mod \w+ \{", text, re.MULTILINE)
    product_end = 0 if is_test_path(path, modules) else test_module.start() if test_module else len(text)
    product_lines = text.count("\n", 0, product_end)
    lines = text.count("\n") + 1
    inline_lines = set()
    line, last = 1, 0
    before = ""
    docs = []
    for match in RUST.finditer(text):
        line, last = line + text.count("\n", last, match.start()), match.start()
        kind, token = match.lastgroup, match.group(0)
        if kind == "comment":
            read_comment(docs, inline_lines, line, token)
            if not is_doc(token):
                report.comment(path, line, token.lstrip("/*"))
        elif kind in ("string", "raw", "hash"):
            body = token[token.index('"') + 1 :]
            if match.start() < product_end and not PLAIN_NAME.fullmatch(body.rstrip('"#')):
                report.prose("messages", path, line, re.sub(r"\{[^{}]*\}", " ", body))
        elif kind == "name":
            rest = text[match.end() : match.end() + 1]
            report.name(path, line, token, before in DEFINING_KEYWORDS or rest == ":")
            if before == "fn" and is_test(text, match.start()):
                words = len([word for word in token.split("_") if word])
                if words > TEST_NAME_WORDS_MAX:
                    report.findings.append((path, line, f"test name of {words} words: {token}"))
                    report.counts["names"]["test names"] += 1
        if kind != "comment":
            before = token
    check_docs(report, path, docs)
    report.code_lines += product_lines
    report.inline += sum(1 for at in inline_lines if at <= product_lines)
    return lines


def is_test(text, at):
    """Returns whether a test attribute is directly above the function at this position."""
    lines = text[:at].splitlines()[:-1]
    for line in reversed(lines[-12:]):
        line = line.strip()
        if TEST_ATTRIBUTE.match(line):
            return True
        if not line.startswith(("#[", "//", ")]")):
            return False
    return False


def is_doc(token):
    return token.startswith(("///", "//!")) and not token.startswith("////")


def read_comment(docs, inline_lines, line, token):
    if is_doc(token):
        mark, body = token[:3], token[3:].strip()
        if docs and docs[-1][0] == mark and docs[-1][2] == line - 1:
            docs[-1][2] = line
            docs[-1][3].append(body)
        else:
            docs.append([mark, line, line, [body]])
    else:
        inline_lines.update(range(line, line + token.count("\n") + 1))


def check_docs(report, path, docs):
    for _, line, _, bodies in docs:
        fenced = False
        prose = []
        for body in bodies:
            if body.startswith("```"):
                fenced = not fenced
                body = ""
            prose.append("" if fenced else re.sub(r"`[^`]*`", " ", body))
        report.comment(path, line, "\n".join(prose))
        report.docs += 1
        if QUESTIONS.match(bodies[0]):
            report.questions += 1
            report.findings.append((path, line, f"doc comment begins with a question word: {bodies[0][:50]}"))


def read_document(report, path, text):
    """Reads the prose of a Markdown file, without code."""
    text = re.sub(r"^(\s*)(```|~~~).*?^\1\2", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    report.prose("documents", path, 1, text)


def read_script(report, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        comment = re.search(r"(?:^|\s)#(?!!)(.*)", line)
        if comment:
            report.comment(path, number, comment.group(1))


def tracked(paths):
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    return [line for line in out.stdout.splitlines() if (ROOT / line).is_file()]


def read(report, path, modules):
    if path.endswith("package-lock.json") or path == "Cargo.lock" or path == "tests/language.py":
        return
    reader = (
        (lambda *args: read_rust(*args, modules)) if path.endswith(".rs")
        else read_document if path.endswith(".md")
        else read_script if path.endswith((".toml", ".sh", ".py", ".yml", "justfile")) or "." not in path.rsplit("/", 1)[-1]
        else None
    )
    if reader:
        try:
            reader(report, path, (ROOT / path).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            pass


def subjects(report):
    out = subprocess.run(
        ["git", "log", f"-{COMMITS_CHECKED}", "--no-merges", "--format=%h %s"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    long = 0
    for entry in out.stdout.splitlines():
        commit, _, subject = entry.partition(" ")
        if len(subject) > SUBJECT_CHARACTERS_MAX:
            long += 1
            report.findings.append((f"commit {commit}", 0, f"subject of {len(subject)} characters: {subject[:60]}..."))
    return long


def label(pattern):
    """Returns the first word that a pattern matches."""
    plain = re.sub(r"\(\?<?!(?:[^()]|\([^()]*\))*\)|\(\?:|\\w|[?+\[\]]", "", pattern)
    return plain.split("|")[0].replace(")", "")[:22].strip()


def summary(report, long_subjects):
    """Prints the table and returns the rows that exceed a limit."""
    exceeded = []
    per = lambda kind, count: 10_000 * count / max(report.words[kind], 1)
    print(f"{'word':22} {'comments':>15} {'documents':>15} {'limit':>5} {'messages':>8} {'names':>5}  use")
    for _, replacement, limit, key in PROSE_RULES:
        row = {kind: report.counts[kind][key] for kind in report.counts}
        if not any(row.values()):
            continue
        comments, documents = per("comments", row["comments"]), per("documents", row["documents"])
        over = comments > limit or documents > limit or row["messages"] or row["names"]
        name = label(key)
        print(
            f"{name:22} {row['comments']:6} {comments:6.1f}/10k {row['documents']:6} {documents:6.1f}/10k"
            f" {limit:5} {row['messages']:8} {row['names']:5}  {replacement}"
        )
        if over:
            exceeded.append(name)
    returns = per("comments", report.returns)
    questions = 100 * report.questions / max(report.docs, 1)
    inline = 100 * report.inline / max(report.code_lines, 1)
    facts = [
        (f"return(s) in comments: {returns:.1f} per 10,000 words, at least {RETURNS_MIN}", returns < RETURNS_MIN),
        (
            f"doc comments that begin with a question word: {report.questions} of {report.docs}, {questions:.1f} %,"
            f" at most {QUESTION_DOCS_MAX_PERCENT} %",
            questions > QUESTION_DOCS_MAX_PERCENT,
        ),
        (
            f"inline comments: {report.inline} of {report.code_lines} lines outside tests, {inline:.2f} %,"
            f" at least {INLINE_MIN_PERCENT} %",
            report.code_lines > 0 and inline < INLINE_MIN_PERCENT,
        ),
        (
            f"test names of more than {TEST_NAME_WORDS_MAX} words: {report.counts['names']['test names']}",
            report.counts["names"]["test names"] > 0,
        ),
        (
            f"commit subjects over {SUBJECT_CHARACTERS_MAX} characters among the last {COMMITS_CHECKED}: {long_subjects}",
            long_subjects > 0,
        ),
        (f"words: {report.words['comments']} in comments, {report.words['documents']} in documents", False),
    ]
    print()
    for text, is_over in facts:
        print(f"{'over ' if is_over else '     '}{text}")
        if is_over:
            exceeded.append(text)
    return exceeded


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    options = parser.parse_args()
    report = Report()
    paths = [str(Path(path).resolve().relative_to(ROOT)) for path in options.paths]
    modules = test_modules(tracked(["*.rs"]))
    for path in tracked(paths or ["."]):
        read(report, path, modules)
    report.check_names()
    long = subjects(report) if not options.paths else 0
    if not options.summary:
        for path, line, text in sorted(report.findings):
            print(f"{path}:{line}: {text}" if line else f"{path}: {text}")
        print()
    exceeded = summary(report, long)
    if options.check and exceeded:
        sys.exit(f"\n{len(exceeded)} limits exceeded")


if __name__ == "__main__":
    main()
