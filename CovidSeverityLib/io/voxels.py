"""The voxels of an image file, compared with the size in its header: no voxel is invented and none is used twice.

A compressed stream is read to its end, so that its checksum is verified, unless it holds four times what it should
(a few megabytes may expand to gigabytes). The length that a header states for it is not used.
"""

from __future__ import annotations

import binascii
import bz2
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

READ_BYTES = 1 << 16
"""Compressed bytes per step: deflate expands a byte to at most 1,032 (zlib.net/zlib_tech.html), so to 64 MiB."""

SURPLUS_FACTOR = 4
"""Decompressed bytes, as a multiple of the promised ones, at which a stream is not read further."""

BLOCK_BYTES = 1 << 20
"""Bytes of text, and of decompressed bzip2 data, per step."""

LONGEST_NUMBER = 400
"""Largest number of characters of a number in text: the smallest double has 325 zeros before its digits."""

GZIP_MAGIC, BZIP2_MAGIC = b"\x1f\x8b", b"BZh"
MAGIC_BYTES = 3
ANY_DEFLATE = zlib.MAX_WBITS | 32
"""zlib's setting for detecting gzip or zlib."""


class Encoding(Enum):
    """How a file stores its voxels."""

    RAW = "raw"
    DEFLATE = "gzip or zlib"
    BZIP2 = "bzip2"
    TEXT = "text"
    HEX = "hexadecimal"


@dataclass(frozen=True)
class VoxelSource:
    """The place of the voxels of an image in files, from its header.

    Parameters
    ----------
    files : tuple of Path
        Files in order, each with an equal part of the voxels.
    size : (int, int, int)
        Number of voxels along (I, J, K), I fastest.
    dtype : dtype
        Type with byte order.
    encoding : Encoding
        Encoding of each file.
    start : int
        Bytes of each file before the (compressed) voxels.
    lines : int
        Lines to skip after that.
    skip : int or None
        Bytes of the decompressed voxels to skip; None if the voxels are the last bytes of the file.
    """

    files: tuple[Path, ...]
    size: tuple[int, int, int]
    dtype: np.dtype
    encoding: Encoding = Encoding.RAW
    start: int = 0
    lines: int = 0
    skip: int | None = 0

    @property
    def part_bytes(self) -> int:
        """Number of bytes that each file must contain."""
        return math.prod(self.size) * self.dtype.itemsize // len(self.files)


def is_gzip(path: Path) -> bool:
    """Whether the first bytes of ``path`` are those of gzip, whatever its ending is."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to ``count`` bytes from the beginning of ``path``, decompressed if it is gzip."""
    compressed = is_gzip(path)
    with path.open("rb") as file:
        if not compressed:
            return file.read(count)
        got = b""
        for block in _decompressed(file, Encoding.DEFLATE, path.name):
            got += block
            if len(got) >= count:
                break
        return got[:count]


def read_voxels(source: VoxelSource, name: str) -> tuple[NDArray, tuple[QualityNote, ...]]:
    """Read the voxels of the image ``name``.

    Returns
    -------
    values : (K, J, I) ndarray in the byte order of this machine.
    notes : a warning about extra bytes.

    Raises
    ------
    InputError
        A file has too few bytes, a slice or more too many, or cannot be decompressed.
    """
    if math.prod(source.size) % len(source.files):
        raise InputError(f"{name} names {len(source.files)} data files, which cannot have equal parts of its image")
    content = _empty(source, name)
    part = source.part_bytes
    surplus = 0
    for n, path in enumerate(source.files):
        with path.open("rb") as file:
            file.seek(source.start)
            _skip_lines(file, source.lines, path.name, part)
            target = content[n * part : (n + 1) * part]
            surplus += _fill(target, file, source, path.name)
    values = content.view(source.dtype).reshape(source.size[::-1])
    if not source.dtype.isnative:
        values = values.byteswap(inplace=True).view(source.dtype.newbyteorder("="))
    return values, _surplus_notes(surplus, source, name)


def _skip_lines(file: BufferedReader, lines: int, name: str, part: int) -> None:
    for _ in range(lines):
        line = file.readline(BLOCK_BYTES)
        if not line:
            raise _too_little(name, 0, part)
        if len(line) == BLOCK_BYTES:
            raise InputError(f"{name} has a line of over {BLOCK_BYTES} bytes where its header has lines to skip")


def _empty(source: VoxelSource, name: str) -> NDArray[np.uint8]:
    raw = source.encoding is Encoding.RAW
    least = source.part_bytes + (source.skip or 0) if raw else 1  # no memory is allocated for missing data
    for path in source.files:
        held = path.stat().st_size - source.start
        if held < least:
            raise _too_little(path.name, max(held - (source.skip or 0), 0), source.part_bytes)
    promised = math.prod(source.size) * source.dtype.itemsize
    try:
        return np.empty(promised, np.uint8)
    except (MemoryError, ValueError, OverflowError) as error:
        raise InputError(f"the header of {name} promises {promised} bytes of image, more than can be held") from error


def _fill(target: NDArray[np.uint8], file: BufferedReader, source: VoxelSource, name: str) -> int:
    """Fill ``target`` from the position of ``file``; return the number of extra bytes."""
    if source.encoding is Encoding.TEXT:
        return _fill_from_text(target.view(source.dtype), file, name, source.size)
    if source.encoding is Encoding.RAW:
        return _fill_from_raw(target, file, source.skip, name)
    start, skip = file.tell(), source.skip
    if skip is None:
        skip = _bytes_before(target.size, file, source, name)
        file.seek(start)
    position = -skip
    for block in _decompressed(file, source.encoding, name):
        wanted = memoryview(block)[max(-position, 0) : max(target.size - position, 0)]
        first = max(position, 0)
        target[first : first + len(wanted)] = wanted
        position += len(block)
        if position > SURPLUS_FACTOR * target.size:
            raise _too_much(name, "", source.size)
    if position < target.size:
        raise _too_little(name, max(position, 0), target.size)
    return position - target.size


def _bytes_before(wanted: int, file: BufferedReader, source: VoxelSource, name: str) -> int:
    """The number of decompressed bytes before the last ``wanted`` ones."""
    total = 0
    for block in _decompressed(file, source.encoding, name):
        total += len(block)
        if total > SURPLUS_FACTOR * wanted:
            raise _too_much(name, "", source.size)
    return max(total - wanted, 0)


def _fill_from_raw(target: NDArray[np.uint8], file: BufferedReader, skip: int | None, name: str) -> int:
    end = os.fstat(file.fileno()).st_size
    start = max(end - target.size, 0) if skip is None else file.tell() + skip
    file.seek(start)
    got = file.readinto(target.data)
    if got < target.size:
        raise _too_little(name, got, target.size)
    return end - start - target.size


def _fill_from_text(target: NDArray, file: BufferedReader, name: str, size: tuple[int, int, int]) -> int:
    filled = surplus = 0
    for words in _words(file):
        try:
            if max(map(len, words), default=0) > LONGEST_NUMBER:
                raise ValueError
            numbers = np.array(words, dtype="S").astype(np.float64)
            with np.errstate(invalid="ignore"):
                values = numbers.astype(target.dtype)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{name} holds text that is no number where its header promises numbers") from error
        if target.dtype.kind != "f" and not np.array_equal(values, numbers):
            raise InputError(f"{name} holds numbers that are not {target.dtype.name}, as its header promises")
        wanted = values[: target.size - filled]
        target[filled : filled + len(wanted)] = wanted
        filled += len(wanted)
        surplus += len(values) - len(wanted)
        if surplus > SURPLUS_FACTOR * target.size:
            raise _too_much(name, "", size)
    if filled < target.size:
        raise _too_little(name, filled * target.itemsize, target.size * target.itemsize)
    return surplus * target.itemsize


def _words(file: BufferedReader) -> Iterator[list[bytes]]:
    """The words of a text, some at a time; one that is longer than a block is no number."""
    rest = b""
    while block := file.read(BLOCK_BYTES):
        words = (rest + block).split()
        rest = b"" if block[-1:].isspace() or not words or len(words[-1]) > BLOCK_BYTES else words.pop()
        yield words
    yield [rest] if rest else []


def _decompressed(file: BufferedReader, encoding: Encoding, name: str) -> Iterator[bytes]:
    try:
        if encoding is Encoding.HEX:
            yield from _from_hex(file)
        elif encoding is Encoding.BZIP2:
            yield from _inflated(file, bz2.BZ2Decompressor, BZIP2_MAGIC, name)
        else:
            yield from _inflated(file, lambda: zlib.decompressobj(ANY_DEFLATE), GZIP_MAGIC, name)
    except (zlib.error, binascii.Error) as error:
        raise _damaged(name) from error


def _from_hex(file: BufferedReader) -> Iterator[bytes]:
    rest = b""
    while block := file.read(BLOCK_BYTES):
        digits = rest + b"".join(block.split())
        even = len(digits) // 2 * 2
        yield binascii.unhexlify(digits[:even])
        rest = digits[even:]
    yield binascii.unhexlify(rest)


def _inflated(file: BufferedReader, new_stream: Callable, magic: bytes, name: str) -> Iterator[bytes]:
    """The content of one stream, or of several in a row; data after them are ignored, as gzip does."""
    stream, data = new_stream(), b""
    while data := data or file.read(READ_BYTES):
        if stream.eof:
            data += file.read(MAGIC_BYTES)
            if not data.startswith(magic):
                return
            stream = new_stream()
        yield from _pieces(stream, data, name)
        data = stream.unused_data
    if not stream.eof:
        raise _damaged(name)


def _pieces(stream: bz2.BZ2Decompressor, data: bytes, name: str) -> Iterator[bytes]:
    """``data`` decompressed by ``stream``; bzip2 expands a byte to more than a million, so its output is limited."""
    if not isinstance(stream, bz2.BZ2Decompressor):
        yield stream.decompress(data)
        return
    while True:
        try:
            yield stream.decompress(data, BLOCK_BYTES)
        except OSError as error:  # bz2 raises this for damaged data
            raise _damaged(name) from error
        if stream.eof or stream.needs_input:
            return
        data = b""


def _surplus_notes(surplus: int, source: VoxelSource, name: str) -> tuple[QualityNote, ...]:
    """Refuse extra data of a slice or more: the size in the header is not that of the image."""
    if not surplus:
        return ()
    i, j, _ = source.size
    if surplus >= i * j * source.dtype.itemsize:
        raise _too_much(name, f"{surplus} bytes ", source.size)
    message = f"the file holds {surplus} bytes more than its header promises; the image may be shifted by them"
    return (QualityNote("surplus_bytes", NoteSeverity.WARNING, message),)


def _damaged(name: str) -> InputError:
    return InputError(f"{name} is damaged or cut short: its compressed data do not decompress")


def _too_much(name: str, count: str, size: tuple[int, int, int]) -> InputError:
    shape = " x ".join(str(n) for n in size)
    return InputError(
        f"{name} holds {count or 'far '}more than an image of {shape} voxels, as its header has it, has room for; "
        "correct the size in the header"
    )


def _too_little(name: str, got: int, expected: int) -> InputError:
    return InputError(
        f"{name} is cut short, or its header is wrong: {got} bytes of image where its header promises {expected}"
    )
