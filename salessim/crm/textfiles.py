"""Delimited text files as CRMs write them: encoding, delimiter and records, with nothing lost on the way."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from charset_normalizer import from_bytes

from salessim.errors import DataError, listed

__all__ = [
    "DELIMITERS",
    "Columns",
    "Malformed",
    "Records",
    "SourceFile",
    "TextFile",
    "as_utf8",
    "categories",
    "decode",
    "from_arrow",
    "header_key",
    "open_text",
    "pick_delimiter",
    "read_bytes",
    "read_columns",
    "records",
    "required_headers_missing",
    "split_columns",
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
_WIDE_BOMS = tuple(mark for mark, codec in _BOMS if codec != "utf-8-sig")
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive or a workbook; give it its ending .zip or .xlsx",
    b"\xd0\xcf\x11\xe0": "a workbook of old Excel; give it its ending .xls",
    b"PAR1": "a Parquet file; give it its ending .parquet",
    b"%PDF": "a PDF; export the table as CSV",
    b"\x1f\x8b": "a file packed with gzip; unpack it first",
    b"SQLite format 3\0": "a SQLite database; give it as sqlite:///…",
}
_DECLARED = re.compile(r"""(?:sep=([^\r\n"'])|"sep=([^\r\n"'])")(?:\r\n|\r|\n|$)""", re.IGNORECASE)
_SAMPLE = 8192  # characters in which delimiter and header are looked for
_LONGEST_HEADER = 1_000  # characters; a quoted header over several lines may not be longer
_LONGEST_RECORD = 131_072  # characters; beyond that a quote that runs over lines is a stray one
_FIELD_LIMIT = threading.Lock()
_SHOWN = 120  # characters of a line that an error shows
_HEAD = 1 << 18  # bytes in which the fast way looks for the header
_LONGEST_BLOCK = 1 << 28  # bytes; Arrow reads blocks, which must hold the longest record twice
_BLOCK = 1 << 22  # bytes that are looked at in one go
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
    codec, guessed = _codec(data, name=name, encoding=encoding, words=words)
    return _text(data, codec, name=name), codec, guessed


def as_utf8(
    data: bytes, *, name: str, encoding: str | None = None, words: Sequence[str] = ()
) -> tuple[bytes, str, bool]:
    """Return the bytes of a text in UTF-8 without mark, its encoding, and whether that was guessed.

    As :func:`decode`, without making a text of bytes that are UTF-8 already.

    >>> as_utf8("Łódź".encode("cp1250"), name="deals.csv", encoding="cp1250")[0].decode()
    'Łódź'
    """
    codec, guessed = _codec(data, name=name, encoding=encoding, words=words)
    if codec == "utf-8":
        return data, codec, guessed
    if codec == "utf-8-sig":
        return data[len(codecs.BOM_UTF8) :], codec, guessed
    return _text(data, codec, name=name).encode(), codec, guessed


def _codec(data: bytes, *, name: str, encoding: str | None, words: Sequence[str]) -> tuple[str, bool]:
    """The encoding under which all of ``data`` can be read, and whether it was guessed."""
    _refuse_what_is_no_text(data, name)
    if marked := next((codec for mark, codec in _BOMS if data.startswith(mark)), None):
        if marked == "utf-8-sig" and not _is_utf8(data):
            _text(data, marked, name=name)  # refuses
        return marked, False
    if unmarked := _utf_16_without_mark(data):
        return unmarked, False
    if encoding:
        try:
            return (
                "utf-8" if codecs.lookup(encoding).name == "utf-8" and _is_utf8(data) else encoding
            ), False
        except LookupError:
            return encoding, False  # refused where it is used
    return ("utf-8", False) if _is_utf8(data) else _guess(data, words)


def _text(data: bytes, codec: str, *, name: str) -> str:
    try:
        text = data.decode(codec)
        text.encode()  # some codecs give halves of letters, which no file could hold
    except (UnicodeError, LookupError) as error:
        raise DataError(
            f"{name}: not readable as text ({error}). Export the file again as CSV in UTF-8, "
            "or name its encoding in the column map, for example 'encoding: cp1250'"
        ) from None
    return text


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _BLOCK):  # in blocks: the text itself is not wanted
            decoder.decode(data[start : start + _BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _utf_16_without_mark(data: bytes) -> str | None:
    """UTF-16 shows by NUL at every other place: delimiters, digits and line ends are plain letters."""
    sample = data[:8192]
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if max(first, second) < len(sample) / 20 or min(first, second) > max(first, second) / 20:
        return None
    codec = "utf-16-le" if second > first else "utf-16-be"
    letters = sample.decode(codec, "replace")
    usual = sum(letter < "\u0530" for letter in letters)  # Latin, Greek, Cyrillic; other bytes give Chinese
    return codec if usual > 0.7 * len(letters) else None


def _refuse_what_is_no_text(data: bytes, name: str) -> None:
    for mark, what in _OTHER_FORMATS.items():
        if data.startswith(mark):
            raise DataError(f"{name}: this is {what} under the name of a text file")
    sample = data[:_BLOCK]
    if sample.count(0) > len(sample) / 10 and not (_utf_16_without_mark(data) or data.startswith(_WIDE_BOMS)):
        raise DataError(
            f"{name}: more than a tenth of it are NUL bytes, so this is no text file (a spreadsheet or a "
            "damaged file saved under a text name). Export it again as CSV in UTF-8"
        )


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
    data = read_bytes(path)
    text, codec, guessed = decode(data, name=path.name, encoding=encoding, words=words)
    if not text.strip():
        raise DataError(f"{path.name}: the file is empty; export it again with its header line")
    return TextFile(path.name, hashlib.sha256(data).hexdigest(), len(data), codec, guessed, text)


def read_bytes(path: Path, *, most: int = -1) -> bytes:
    """Return what is in a file, or its first ``most`` bytes; a DataError says why it cannot be read.

    >>> read_bytes(Path("no such file.csv"))
    Traceback (most recent call last):
    ...
    salessim.errors.DataError: no such file.csv: cannot be read (No such file or directory)
    """
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror})") from None


def header_key(header: str) -> str:
    """Return a column header as it is compared.

    Blanks around it and repeated ones, case, long dashes and a final asterisk (by which some CRMs mark fields
    that must be filled) do not matter.

    >>> header_key("  Deal  Stage "), header_key("Deal – Title*")
    ('deal stage', 'deal - title')
    """
    return " ".join(header.replace("–", "-").removesuffix("*").split()).casefold()


def pick_delimiter(text: str, *, expected: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter under which most of the expected headers appear, and the headers found with it.

    The headers decide: a decimal comma or a comma in a name fools ``csv.Sniffer``, which is asked only where
    no usual delimiter finds an expected header. A first line ``sep=;``, as Excel writes it, decides alone.

    >>> pick_delimiter("id;rep;amount\\n1;Ann;10,5\\n2;Bo;9,5\\n", expected=["id", "rep", "amount"])
    (';', ('id', 'rep', 'amount'))
    """
    wanted = {header_key(name) for name in expected}

    def fit(found: tuple[str, tuple[str, ...]]) -> tuple[int, int]:
        return len(wanted & {header_key(name) for name in found[1]}), len(found[1])

    sample = text[:_SAMPLE]
    chosen = max(_readings_of_header(sample), key=fit)
    if not fit(chosen)[0]:  # the Sniffer is slow
        chosen = max((chosen, *_sniffed_reading(sample)), key=fit)
    return chosen


@lru_cache(maxsize=256)  # detection looks at the same header once per column map
def _readings_of_header(sample: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The headers under every delimiter that may be meant."""
    declared, begun = _beginning(sample)
    lines = _lines(sample[begun:])
    return tuple((sign, _header(lines, sign)[0]) for sign in (declared or DELIMITERS))


@lru_cache(maxsize=256)
def _sniffed_reading(sample: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The headers under the delimiter that csv.Sniffer proposes, if it proposes one."""
    declared, begun = _beginning(sample)
    try:
        sign = declared or csv.Sniffer().sniff(sample[begun:]).delimiter
    except csv.Error:
        return ()
    proper = not sign.isalnum() and not sign.isspace() and sign not in "\"'"
    return ((sign, _header(_lines(sample[begun:]), sign)[0]),) if proper else ()


def _beginning(text: str) -> tuple[str, int]:
    """The delimiter that Excel's first line ``sep=;`` declares (else ""), and where the header begins."""
    begun = len(text) - len(text.lstrip("\r\n"))
    declared = _DECLARED.match(text, begun)
    return (declared[1] or declared[2], declared.end()) if declared else ("", begun)


def _header(lines: Sequence[str], delimiter: str) -> tuple[tuple[str, ...], int]:
    """The header, without superfluous blanks, and how many lines it takes."""
    reader = csv.reader(_lines_from(lines, 0), delimiter=delimiter, strict=True)
    try:
        fields = next(reader, [])
    except csv.Error:
        fields = []
    used = reader.line_num
    if lines and (not fields or (used > 1 and max(map(len, fields)) > _LONGEST_HEADER)):
        # its quote is a stray one: only one line may suffer from it
        fields, used = next(csv.reader(lines[:1], delimiter=delimiter), []), 1
    return tuple(" ".join(field.split()) for field in fields), used


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
    values: list[list[str]] = []
    rows: list[int] = []
    malformed: list[Malformed] = []
    with _fields_of_any_length():
        lines = _lines(text[_beginning(text)[1] :])
        header, used = _header(lines, delimiter)
        split = _split(lines, used, delimiter=delimiter, width=len(header))
        for number, (_, fields, problem) in enumerate(split, start=2):
            if fields is None:
                malformed.append(Malformed(number, problem))
            elif fields:
                values.append(fields)
                rows.append(number)
    return Records(header, tuple(values), tuple(rows), tuple(malformed))


@dataclass(frozen=True, eq=False)
class Columns:
    """Some columns of a text file: ``cells`` by :func:`header_key`, record numbers ``rows``.

    Cells are categories of str, the distinct texts as they were written; a blank cell is NaN.
    """

    header: tuple[str, ...]
    cells: Mapping[str, pd.Series]
    rows: npt.NDArray[np.int64]
    malformed: tuple[Malformed, ...]


def split_columns(data: bytes, *, delimiter: str, columns: Sequence[str]) -> Columns:
    """Split a text in UTF-8 (see :func:`as_utf8`), and keep the columns whose headers are asked for.

    The same records as :func:`records` finds, many times faster. Headers that the file lacks are left out;
    where a header is there twice, its first column counts.

    >>> data = b"id;rep;note\\n1;Ann;x\\n2;Bo\\n3;;\\n"
    >>> found = split_columns(data, delimiter=";", columns=["Rep", "stage"])
    >>> found.cells["rep"].tolist(), found.rows.tolist(), found.malformed[0].row
    (['Ann', nan], [2, 4], 3)
    """
    return _fast_columns(data, delimiter, columns) or _columns_of_records(data, delimiter, columns)


def categories(
    texts: Sequence[str] | npt.NDArray[np.object_], codes: npt.NDArray[np.signedinteger[Any]]
) -> pd.Series:
    """Return cells as categories, from the distinct texts and the place of each cell's text (-1: blank).

    >>> categories(["won", "lost"], np.array([1, -1, 0])).tolist()
    ['lost', nan, 'won']
    """
    known = pd.CategoricalDtype(pd.Index(np.asarray(texts, dtype="object")))
    return pd.Series(pd.Categorical.from_codes(codes, dtype=known))


def _columns_of_records(data: bytes, delimiter: str, columns: Sequence[str]) -> Columns:
    rows: list[int] = []
    malformed: list[Malformed] = []
    with _fields_of_any_length():
        text = data.decode()
        lines = _lines(text[_beginning(text)[1] :])
        header, used = _header(lines, delimiter)
        places = _places(header, columns)
        seen: dict[str, dict[str, int]] = {key: {"": -1} for key in places}
        codes: dict[str, list[int]] = {key: [] for key in places}
        kept = [(place, seen[key], codes[key]) for key, place in places.items()]
        split = _split(lines, used, delimiter=delimiter, width=len(header))
        for number, (_, fields, problem) in enumerate(split, start=2):
            if fields is None:
                malformed.append(Malformed(number, problem))
            if not fields:
                continue
            rows.append(number)
            for place, texts, cells in kept:
                cells.append(texts.setdefault(fields[place], len(texts) - 1))
    found = {key: categories(list(seen[key])[1:], np.array(codes[key], dtype=np.int32)) for key in places}
    return Columns(header, found, np.array(rows, dtype=np.int64), tuple(malformed))


def _places(header: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    keys = [header_key(name) for name in header]
    return {key: keys.index(key) for key in dict.fromkeys(map(header_key, columns)) if key in keys}


# --- the fast way: nearly all lines are one record each, and only the others need a state machine -----


def _fast_columns(data: bytes, delimiter: str, columns: Sequence[str]) -> Columns | None:
    """What :func:`_columns_of_records` returns, or None where only that can tell.

    Lines whose quotes are regular are counted and parsed in bulk. All others (stray quotes, cells over
    several lines, NUL) are split by :func:`_split`, and those of their records that are good written anew.
    """
    head = data[:_HEAD].decode(errors="ignore")
    first_lines = _lines(head[_beginning(head)[1] :])
    header, used = _header(first_lines, delimiter)
    if len(header) < 2 or not delimiter.isascii() or (len(first_lines) == used and len(data) > _HEAD):
        return None
    begun = len((head[: _beginning(head)[1]] + "".join(first_lines[:used])).encode())
    lines, widths, regular = _look_at_lines(data, begun, ord(delimiter))
    blank = _is_blank(lines)
    begins = np.ones(len(lines), dtype=bool)  # lines with which a record begins
    rewritten: list[tuple[int, bytes]] = []
    problems: dict[int, str] = {}
    split_until, several_lines = 0, False
    with _fields_of_any_length():
        for line in np.flatnonzero(~regular).tolist():
            if line < split_until:
                continue
            split_until, fields, problem = next(_split(lines, line, delimiter=delimiter, width=len(header)))
            begins[line + 1 : split_until] = False
            if fields is None:
                problems[line] = problem
            else:
                record = delimiter.join('"' + field.replace('"', '""') + '"' for field in fields)
                rewritten.append((line, f"{record}\n".encode()))
                several_lines |= "\n" in record or "\r" in record
    good = regular & begins & (widths == len(header))
    for line in np.flatnonzero(regular & begins & ~good & ~blank).tolist():
        problems[line] = _wrong_width(int(widths[line]), len(header), lines.beginning(line))
    body = memoryview(data)[begun:] if (good | blank).all() else _body(lines, good, rewritten)
    longest = max(
        [int((lines.ends - lines.starts)[good].max(initial=0)), *(len(text) for _, text in rewritten)]
    )
    numbers = 1 + begins.cumsum()
    good[[line for line, _ in rewritten]] = True
    places = _places(header, columns)
    cells = _parsed(
        body,
        delimiter,
        width=len(header),
        places=places,
        several_lines=several_lines,
        longest=longest,
        records=int(good.sum()),
    )
    malformed = tuple(Malformed(int(numbers[line]), problems[line]) for line in sorted(problems))
    return None if cells is None else Columns(header, cells, numbers[good], malformed)


@dataclass(frozen=True, eq=False)
class _LinesOf:
    """The lines of a text, decoded one by one where they are looked at; ends are behind the line end."""

    data: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, line: int, /) -> str:
        return self.data[self.starts[line] : self.ends[line]].decode()

    def beginning(self, line: int) -> str:
        """As much of a line as an error shows."""
        start, end = self.starts[line], self.ends[line]
        return self.data[start : min(end, start + 4 * _SHOWN + 4)].decode(errors="ignore")


def _look_at_lines(
    data: bytes, begun: int, delimiter: int
) -> tuple[_LinesOf, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The lines from ``begun`` on, how many fields each has, and whether it is regular.

    A line is regular if each of its quotes stands at the edge of its field or is doubled, all are closed on
    the line, and there is no NUL: then it is a record, unless a quote of an earlier line swallows it.
    """
    quote, feed, turn = b'"\n\r'
    first, with_nul = begun, b"\0" in data
    ends, widths, regulars = (
        [np.array([], dtype=np.int64)],
        [np.array([], dtype=np.int64)],
        [np.array([], dtype=bool)],
    )
    edges = np.zeros(256, dtype=bool)
    edges[[quote, feed, turn, delimiter]] = True
    while begun < len(data):
        cut = data.find(b"\n", begun + _BLOCK)
        size = (cut + 1 if cut >= 0 else len(data)) - begun
        block = np.frombuffer(data, np.uint8, count=size, offset=begun)
        is_end, is_delimiter = block == feed, block == delimiter
        turns = np.flatnonzero(block == turn)
        is_end[turns[block[np.minimum(turns + 1, size - 1)] != feed]] = True
        at = np.flatnonzero(is_end)
        if not len(at) or at[-1] != size - 1:
            at = np.append(at, size - 1)  # the last line has no end
        regular = np.ones(len(at), dtype=bool)
        quotes = np.flatnonzero(block == quote)
        if len(quotes):
            many = np.diff(np.searchsorted(quotes, at, side="right"), prepend=0)  # by line
            line = np.repeat(np.arange(len(at)), many)
            opens = (np.arange(len(quotes)) - (many.cumsum() - many)[line]) % 2 == 0
            before = edges[block[quotes - 1]] | (quotes == 0)
            after = edges[block[np.minimum(quotes + 1, size - 1)]] | (quotes == size - 1)
            odd = many % 2 == 1
            regular[odd] = False
            regular[line[~np.where(opens, before, after)]] = False
            turned = np.zeros(size, dtype=np.uint8)
            turned[quotes] = 1
            turned[at[odd]] ^= 1  # every line begins outside quotes
            is_delimiter &= ~np.bitwise_xor.accumulate(turned).view(bool)
        if with_nul:
            regular[np.searchsorted(at, np.flatnonzero(block == 0))] = False
        found = np.searchsorted(np.flatnonzero(is_delimiter), at, side="right")
        ends.append(begun + at + 1)
        widths.append(np.diff(found, prepend=0) + 1)
        regulars.append(regular)
        begun += size
    until = np.concatenate(ends)
    starts = np.concatenate([np.array([first], dtype=np.int64), until])[: len(until)]
    return _LinesOf(data, starts, until), np.concatenate(widths), np.concatenate(regulars)


def _is_blank(lines: _LinesOf) -> npt.NDArray[np.bool_]:
    letters, length = np.frombuffer(lines.data, np.uint8), lines.ends - lines.starts
    first, last = letters[lines.starts], letters[lines.ends - 1]
    ended = (last == 10) | (last == 13)
    blank: npt.NDArray[np.bool_] = ended & ((length == 1) | ((length == 2) & (first == 13)))
    return blank


def _body(lines: _LinesOf, good: npt.NDArray[np.bool_], rewritten: Sequence[tuple[int, bytes]]) -> memoryview:
    """The good lines and the records that were written anew, in their order."""
    change = np.flatnonzero(np.diff(good, prepend=False, append=False))
    view = memoryview(lines.data)
    spans = zip(change[0::2].tolist(), change[1::2].tolist(), strict=True)
    pieces: list[tuple[int, bytes | memoryview]] = [*rewritten]
    pieces += [(line, view[lines.starts[line] : lines.ends[end - 1]]) for line, end in spans]
    return memoryview(b"".join(text for _, text in sorted(pieces, key=lambda piece: piece[0])))


def _parsed(
    body: memoryview,
    delimiter: str,
    *,
    width: int,
    places: Mapping[str, int],
    several_lines: bool,
    longest: int,
    records: int,
) -> dict[str, pd.Series] | None:
    """The cells of regular records of one width; None where they are not what was counted."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if longest > _LONGEST_BLOCK:
        return None
    if not records:
        return {key: categories([], np.array([], dtype=np.int32)) for key in places}
    names = [str(place) for place in range(width)]
    wanted = [str(place) for place in places.values()] or names[:1]
    text = pa.dictionary(pa.int32(), pa.string())
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=max(_BLOCK, 2 * longest)),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=several_lines),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, text),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != records:
        return None
    return {key: from_arrow(table[str(place)]) for key, place in places.items()}


def from_arrow(column: Any) -> pd.Series:
    """Return an Arrow column of dictionaries of texts as categories; null and the empty text are NaN.

    >>> import pyarrow as pa
    >>> from_arrow(pa.chunked_array([pa.array(["won", None, "won"]).dictionary_encode()])).tolist()
    ['won', nan, 'won']
    """
    whole = column.unify_dictionaries().combine_chunks()
    texts = whole.dictionary.to_numpy(zero_copy_only=False)
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if len(blank := np.flatnonzero(texts == "")):
        codes = np.where(codes == blank[0], -1, codes - (codes > blank[0]))
        texts = np.delete(texts, blank)
    return categories(texts, codes)


class _Texts(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...


def _split(
    lines: _Texts, begun: int, *, delimiter: str, width: int
) -> Iterator[tuple[int, list[str] | None, str]]:
    """The records from line ``begun`` on: the line behind it, its fields, and what is wrong with it.

    Fields are None where the record is malformed, and empty for a blank line.
    """
    while begun < len(lines):
        start = begun
        reader = csv.reader(_lines_from(lines, start), delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                end = start + reader.line_num
                if end - begun > 1 and (
                    (fields and len(fields) != width) or sum(map(len, fields)) > _LONGEST_RECORD
                ):
                    raise csv.Error  # the record has swallowed lines: its quote was a stray one
                if fields and "\0" in "".join(fields):
                    yield end, None, f"contains a NUL byte: {_shortened(lines[begun])!r}"
                elif fields and len(fields) != width:
                    yield end, None, _wrong_width(len(fields), width, lines[begun])
                else:
                    yield end, fields, ""
                begun = end
        except csv.Error:
            yield begun + 1, None, f"quotes do not match: {_shortened(lines[begun])!r}"
            begun += 1


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    with _FIELD_LIMIT:  # the limit of the csv module holds for the whole process
        before = csv.field_size_limit(2**31 - 1)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _wrong_width(found: int, width: int, line: str) -> str:
    return f"{found} field{'' if found == 1 else 's'} instead of {width}: {_shortened(line)!r}"


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
    return list(io.StringIO(text, newline=""))


def _lines_from(lines: _Texts, start: int) -> Iterator[str]:
    for index in range(start, len(lines)):
        yield lines[index]


def _shortened(line: str) -> str:
    line = line.rstrip("\r\n")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
