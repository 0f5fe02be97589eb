"""zstd by way of the system's library, which the programs under test use as well: Python 3.11 has none of its own."""
import ctypes

_lib = ctypes.CDLL("libzstd.so.1")
for _name in ("ZSTD_compress", "ZSTD_compressBound", "ZSTD_decompress"):
    getattr(_lib, _name).restype = ctypes.c_size_t


def _checked(n):
    assert not _lib.ZSTD_isError(ctypes.c_size_t(n)), "not zstd"
    return n


def compress(data):
    room = _lib.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(room)
    n = _lib.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:_checked(n)]


def decompress(data, room=64 * 1024 * 1024):
    out = ctypes.create_string_buffer(room)
    n = _lib.ZSTD_decompress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)))
    return out.raw[:_checked(n)]
