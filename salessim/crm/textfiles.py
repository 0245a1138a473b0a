"""Delimited text files as CRMs write them: encoding, delimiter and records, with nothing lost on the way."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from charset_normalizer import from_bytes

from salessim.errors import DataError, listed

__all__ = [
    "DELIMITERS",
    "Malformed",
    "Records",
    "SourceFile",
    "TextFile",
    "decode",
    "header_key",
    "open_text",
    "pick_delimiter",
    "read_columns",
    "records",
    "required_headers_missing",
]

#: Delimiters that are always tried; others only when csv.Sniffer proposes them.
DELIMITERS = (",", ";", "\t", "|")

_BOMS = (  # the UTF-32 marks begin with the UTF-16 ones, so they come first
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Likeliest first; the later ones are only taken when words of the column map prove them.
_CODE_PAGES = ("cp1250", "cp1251", "cp1252", "iso8859_2", "koi8_r", "cp866", "cp852")
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


@dataclass(frozen=True)
class SourceFile:
    """A file that figures come from, so that a report can say exactly what it was made of.

    ``records`` counts data records: without the header and blank lines, with those that were rejected.

    >>> SourceFile("deals.csv", "9f86d0…", 120, "utf-8", ",", 3).records
    3
    """

    name: str
    sha256: str
    bytes: int
    encoding: str
    delimiter: str
    records: int


@dataclass(frozen=True)
class TextFile:
    """A file as text, with what identifies it; ``guessed`` says that the encoding is not certain."""

    name: str
    sha256: str
    bytes: int
    encoding: str
    guessed: bool
    text: str


@dataclass(frozen=True)
class Malformed:
    """A record that does not fit the header: its number (the header is 1) and what is wrong with it."""

    row: int
    problem: str


@dataclass(frozen=True)
class Records:
    """The records of a file: ``values``, their numbers ``rows`` (the header is 1), and malformed ones."""

    header: tuple[str, ...]
    values: tuple[list[str], ...]
    rows: tuple[int, ...]
    malformed: tuple[Malformed, ...]


def decode(
    data: bytes, *, name: str, encoding: str | None = None, words: Sequence[str] = ()
) -> tuple[str, str, bool]:
    """Return text, encoding, and whether the encoding was guessed.

    A byte-order mark decides; then UTF-8, strictly; then the code page under which most of ``words`` (headers
    and stages of the column map) appear in the text; else the likeliest of Windows-1250 (Polish), 1251
    (Russian) and 1252 (western). A short text can fool that guess, so ``encoding`` in the column map
    overrides all but the mark. A DataError names the file when the bytes are no text.

    >>> decode("Łódź".encode("utf-16"), name="deals.csv")
    ('Łódź', 'utf-16', False)
    >>> decode("Wójcik;Łącka;Spółka".encode("cp1250"), name="deals.csv")
    ('Wójcik;Łącka;Spółka', 'cp1250', True)
    """
    marked = next((codec for mark, codec in _BOMS if data.startswith(mark)), None)
    guessed = False
    try:
        if encoding or marked:
            chosen = marked or str(encoding)
            text = data.decode(chosen)
        else:
            try:
                chosen, text = "utf-8", data.decode("utf-8")
            except UnicodeDecodeError:
                chosen, guessed = _guess(data, words)
                text = data.decode(chosen)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(
            f"{name}: not readable as text ({error}). Export the file again as CSV in UTF-8, "
            "or name its encoding in the column map, for example 'encoding: cp1250'"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{name}: line {line} contains a NUL byte, so this is no plain text file (a spreadsheet saved "
            "under a CSV name, UTF-16 without byte-order mark, or a damaged file). Export it again as CSV "
            "in UTF-8"
        )
    return text, chosen, guessed


def _guess(data: bytes, words: Sequence[str]) -> tuple[str, bool]:
    """The likeliest code page, and whether it is a guess rather than known by the words of the column map."""
    # Only lines with other than ASCII letters tell code pages apart; the rest would drown them.
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:200_000]
    known = [word for word in words if not word.isascii()]
    hits = {page: sum(w in telling.decode(page, "replace") for w in known) for page in _CODE_PAGES}
    if any(hits.values()):
        return max(_CODE_PAGES, key=lambda page: hits[page]), False
    # Cyrillic writes whole words in high bytes, Latin scripts single letters. On the few words of an export
    # this is far more reliable than letter statistics.
    in_words = sum(map(len, re.findall(rb"[\x80-\xff]{4,}", telling)))
    if in_words > len(re.findall(rb"[\x80-\xff]", telling)) / 2:
        return "cp1251", True
    # So are signs inside words: Polish read as western has them (Spó³ka), and the other way round.
    signs = {page: _signs_in_words(telling.decode(page, "replace")) for page in ("cp1250", "cp1252")}
    if signs["cp1250"] != signs["cp1252"]:
        return min(signs, key=lambda page: signs[page]), True
    best = from_bytes(telling, cp_isolation=list(signs)).best()
    return (best.encoding if best else "cp1250"), True


def _signs_in_words(text: str) -> int:
    words = re.findall(r"[^\x00-@\[-`{-\x7f]{2,}", text)  # runs of ASCII letters and anything beyond ASCII
    return sum(not letter.isalpha() for word in words for letter in word)


def open_text(path: Path, *, encoding: str | None = None, words: Sequence[str] = ()) -> TextFile:
    """Read a file as text (see :func:`decode`); a DataError says when it is empty, unreadable or no text.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reps.csv")
    ...     _ = path.write_text("rep;manager", encoding="utf-8-sig")
    ...     open_text(path).encoding
    'utf-8-sig'
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror})") from None
    text, codec, guessed = decode(data, name=path.name, encoding=encoding, words=words)
    if not text.strip():
        raise DataError(f"{path.name}: the file is empty; export it again with its header line")
    return TextFile(path.name, hashlib.sha256(data).hexdigest(), len(data), codec, guessed, text)


def header_key(header: str) -> str:
    """Return a column header as it is compared: surrounding and repeated blanks and case do not matter.

    >>> header_key("  Deal  Stage ")
    'deal stage'
    """
    return " ".join(header.split()).casefold()


def pick_delimiter(text: str, *, expected: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter under which most of the expected headers appear, and the headers found with it.

    ``csv.Sniffer`` proposes, the headers decide: a decimal comma or a comma in a name fools the Sniffer,
    the header line does not.

    >>> pick_delimiter("id;rep;amount\\n1;Ann;10,5\\n2;Bo;9,5\\n", expected=["id", "rep", "amount"])
    (';', ('id', 'rep', 'amount'))
    """
    sample = text.lstrip("\r\n")[:8192]
    candidates = list(DELIMITERS)
    try:
        sniffed = csv.Sniffer().sniff(sample).delimiter
    except csv.Error:
        sniffed = ","
    if sniffed not in candidates and not sniffed.isalnum() and not sniffed.isspace() and sniffed not in "\"'":
        candidates.append(sniffed)
    wanted = {header_key(name) for name in expected}

    def headers(delimiter: str) -> tuple[str, ...]:
        try:
            first = next(csv.reader(_lines_from(_lines(sample), 0), delimiter=delimiter), [])
        except csv.Error:
            first = []
        return tuple(" ".join(name.split()) for name in first)

    def fit(delimiter: str) -> tuple[int, int]:
        found = headers(delimiter)
        return len(wanted & {header_key(name) for name in found}), len(found)

    chosen = max(candidates, key=fit)
    return chosen, headers(chosen)


def required_headers_missing(
    name: str, *, found: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> str:
    """Return why a header line does not fit, as text for an error, or an empty text when it fits.

    >>> text = required_headers_missing("d.csv", found=["id"], required=["id", "rep"], optional=[])
    >>> print(text.replace(". ", ".\\n"))
    d.csv: the header lacks 'rep'.
    Found 1 column: 'id'.
    Expected: 'id', 'rep'.
    Delimiters tried: comma, semicolon, tab, vertical bar
    """
    keys = [header_key(header) for header in found]
    lacking = [header for header in required if header_key(header) not in keys]
    twice = [header for header in (*required, *optional) if keys.count(header_key(header)) > 1]
    if twice:
        return f"{name}: the header has {listed(twice)} more than once; rename or remove one of the columns"
    if not lacking:
        return ""
    tried = ", ".join(_DELIMITER_NAMES[delimiter] for delimiter in DELIMITERS)
    also = f" (optional: {listed(optional, most=20)})" if optional else ""
    return (
        f"{name}: the header lacks {listed(lacking)}. "
        f"Found {len(found)} column{'' if len(found) == 1 else 's'}: {listed(found, most=20)}. "
        f"Expected: {listed(required, most=20)}{also}. Delimiters tried: {tried}"
    )


def records(text: str, *, delimiter: str) -> Records:
    """Split a text into records, account for each, and set aside those that do not fit the header.

    A stray quote costs its own line only: reading starts again on the next line, so no neighbour is
    swallowed. Blank lines are no records but are counted in the numbering, as a spreadsheet does.

    >>> read = records('id,name\\n1,"a\\nb"\\n2\\n3,"c\\n4,d\\n', delimiter=",")
    >>> read.values, read.rows
    ((['1', 'a\\nb'], ['4', 'd']), (2, 5))
    >>> [(bad.row, bad.problem) for bad in read.malformed]
    [(3, "1 field instead of 2: '2'"), (4, 'quotes do not match: \\'3,"c\\'')]
    """
    lines = _lines(text)
    # The header is read leniently, as pick_delimiter does; from there on a quote must be closed properly.
    heading = csv.reader(_lines_from(lines, 0), delimiter=delimiter)
    header = tuple(" ".join(field.split()) for field in next(heading, []))
    width = len(header)
    values: list[list[str]] = []
    rows: list[int] = []
    malformed: list[Malformed] = []
    number = 1
    begun = heading.line_num  # index of the line on which the current record begins
    while begun < len(lines):
        start = begun
        reader = csv.reader(_lines_from(lines, start), delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                end = start + reader.line_num
                if fields and len(fields) != width and end - begun > 1:
                    raise csv.Error  # the record has swallowed lines: its quote was a stray one
                number += 1
                if len(fields) == width:
                    values.append(fields)
                    rows.append(number)
                elif fields:
                    plural = "" if len(fields) == 1 else "s"
                    problem = f"{len(fields)} field{plural} instead of {width}: {_shortened(lines[begun])!r}"
                    malformed.append(Malformed(number, problem))
                begun = end
        except csv.Error:
            number += 1
            malformed.append(Malformed(number, f"quotes do not match: {_shortened(lines[begun])!r}"))
            begun += 1
    return Records(header, tuple(values), tuple(rows), tuple(malformed))


def read_columns(path: Path, *, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of a delimited file as text, under the names asked for; a blank cell is "".

    Raises:
        DataError: the file cannot be read, a column is missing, or records do not fit the header (named).
    """
    file = open_text(path)
    delimiter, found = pick_delimiter(file.text, expected=columns)
    if problem := required_headers_missing(file.name, found=found, required=columns, optional=()):
        raise DataError(problem)
    read = records(file.text, delimiter=delimiter)
    if read.malformed:
        faults = [f"{file.name}: row {bad.row}: {bad.problem}" for bad in read.malformed]
        more = f"\n… and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise DataError("\n".join(faults[:5]) + more)
    keys = [header_key(header) for header in read.header]
    places = [keys.index(header_key(column)) for column in columns]
    rows = [[record[place] for place in places] for record in read.values]
    return pd.DataFrame(rows, columns=list(columns), dtype="object")


def _lines(text: str) -> list[str]:
    # not str.splitlines: that also splits at characters which are legal inside a field (U+2028, form feed)
    return list(io.StringIO(text.lstrip("\r\n"), newline=""))


def _lines_from(lines: Sequence[str], start: int) -> Iterator[str]:
    for index in range(start, len(lines)):
        yield lines[index]


def _shortened(line: str, *, most: int = 120) -> str:
    line = line.rstrip("\r\n")
    return line if len(line) <= most else line[:most] + "…"
