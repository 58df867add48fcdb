"""As much of Pillow as opens a PNG and tells its size."""

import struct

from PIL import UnidentifiedImageError


class Image:
    def __init__(self, width, height, mode):
        self.width, self.height, self.mode = width, height, mode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def convert(self, mode):
        return Image(self.width, self.height, mode)


def open(path):
    import builtins

    with builtins.open(path, "rb") as f:
        head = f.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise UnidentifiedImageError("cannot identify image file %r" % path)
    width, height = struct.unpack(">II", head[16:24])
    return Image(width, height, "L")
