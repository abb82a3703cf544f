"""Canonical form of a BSON document: the fields of it and of all in it in the order of their names.

Field order is what a round trip of `$rename` or `$unset` leaves behind; it is no content. Everything else counts,
the type of a number included. Works on the bytes, so that nothing is lost on the way through Python's types.
"""

from __future__ import annotations

import struct

_int32 = struct.Struct("<i").unpack_from

_FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0,
}  # fmt: skip
_COUNTED = {0x02: 4, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x05: 5}  # an int32 length, and how much besides it is stored
_DOCUMENT, _ARRAY, _REGEX, _SCOPED_CODE = 0x03, 0x04, 0x0B, 0x0F


def canonical(document: bytes) -> bytes:
    """`document` (BSON) with the fields of every document in it sorted. Raises ValueError for what is no BSON."""
    try:
        body = _sorted_body(document, 0)
    except (IndexError, struct.error):
        raise ValueError("this BSON document is not whole") from None
    if len(body) != len(document):
        raise ValueError("this is not one whole BSON document")
    return body


def _sorted_body(data: bytes, start: int, *, array: bool = False) -> bytes:
    """The document at `start`; the elements of an array stay in their order."""
    size: int = _int32(data, start)[0]
    end = start + size - 1
    elements: list[tuple[bytes, bytes]] = []
    at = start + 4
    while at < end:
        kind = data[at]
        name_end = data.index(0, at + 1)
        name = data[at + 1 : name_end]
        value, at_next = _value(data, kind, name_end + 1)
        elements.append((name, data[at : name_end + 1] + value))
        at = at_next
    if not array:
        elements.sort()
    return data[start : start + 4] + b"".join([element for _, element in elements]) + b"\0"


def _value(data: bytes, kind: int, at: int) -> tuple[bytes, int]:
    """The value at `at` in its canonical form, and where the next element begins."""
    if kind in _FIXED:
        after = at + _FIXED[kind]
    elif kind in _COUNTED:
        after = at + _int32(data, at)[0] + _COUNTED[kind]
    elif kind in {_DOCUMENT, _ARRAY}:
        return _sorted_body(data, at, array=kind == _ARRAY), at + _int32(data, at)[0]
    elif kind == _REGEX:
        after = data.index(0, data.index(0, at) + 1) + 1
    elif kind == _SCOPED_CODE:
        after = at + _int32(data, at)[0]
    else:
        raise ValueError(f"BSON has no element of type {kind:#x}")
    return data[at:after], after
