"""PNG files without what does not decide about their pixels."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE_BYTES = 64 << 20  # of a colour profile when it is unpacked
# Chunks that a picture can do without, but that change its colours, its orientation, or its number of frames.
_USED = {b"tRNS", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
_ANCILLARY = 0x20  # bit of the first letter of a chunk's name


def drop_metadata(data: bytes) -> bytes:
    """Return a PNG without texts, and without other chunks that it does not need and that are damaged or too large.

    Anything but a PNG, and what follows a chunk that is cut off, is returned as it is.
    """
    if not data.startswith(SIGNATURE):
        return data
    kept = [SIGNATURE]
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        chunk = data[position:end]
        if not name[0] & _ANCILLARY or _is_usable(name, chunk):
            kept.append(chunk)
        position = end
    return b"".join([*kept, data[position:]])


def _is_usable(name: bytes, chunk: bytes) -> bool:
    """Whether an ancillary chunk, given with its length and checksum, is used and sound."""
    if name not in _USED or zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
        return False
    return name != b"iCCP" or _is_small(chunk[8:-4])


def _is_small(profile: bytes) -> bool:
    """Whether the content of an iCCP chunk, a name and a packed profile, unpacks to no more than is allowed."""
    _, _, packed = profile.partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1)) <= MAX_PROFILE_BYTES
    except zlib.error:
        return False
