"""Streams that expand to more than any image: a few megabytes of deflate may hold gigabytes."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from CovidSeverityLib.errors import InputError

from .cost import GB

HIGHEST_RATIO = 200.0
"""Of unpacked to packed bytes. Measured, without compression inside: real CTs 1.6, with blank surroundings 4.3, with
the lungs alone 20, a smooth made-up CT 24. A bomb reaches 1,032, the limit of deflate, or more."""

ALWAYS_ALLOWED_BYTES = GB
"""What unpacks to less is no bomb, whatever its ratio is: an analysis needs as much memory."""

STEP_BYTES = 1 << 20
"""Unpacked bytes that are held at a time while they are counted."""


def check_deflate(file: BinaryIO, name: str) -> None:
    """Unpack the rest of ``file`` without keeping it; the position of the file changes.

    Parameters
    ----------
    file : binary file
        At the beginning of deflate without a header.
    name : str
        Name of the file in the message.

    Raises
    ------
    InputError
        It unpacks to more than :data:`ALWAYS_ALLOWED_BYTES` and to more than :data:`HIGHEST_RATIO` times its size.
    zlib.error
        It is damaged.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    packed = total = 0
    while not stream.eof and (data := file.read(STEP_BYTES)):
        packed += len(data)
        while data and not stream.eof:
            total += len(stream.decompress(data, STEP_BYTES))
            data = stream.unconsumed_tail
            if total > max(ALWAYS_ALLOWED_BYTES, HIGHEST_RATIO * packed):
                raise InputError(
                    f"{name} unpacks to over {total / GB:.1f} GB, over {HIGHEST_RATIO:g} times its size; "
                    "no CT packs so well"
                )
