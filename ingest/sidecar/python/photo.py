"""Makes a JPEG of a HEIC photo with pi-heif (libheif and libde265), turned as the photo says."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out

from protocol import Refused, Worker, engine_of  # noqa: E402


class Fake:
    """Takes whatever begins like a HEIC photo: for tests, with no library at all."""

    needs = {}

    def load(self, call):
        return {"engine": "fake photo", "device": "cpu"}

    def decode(self, call):
        with open(call.params["path"], "rb") as f:
            if f.read(12)[4:8] != b"ftyp":
                raise Refused("bad_input", "not a photo")
        call.wait(call.params.get("pace_s", 0))
        with open(call.params["to"], "wb") as f:
            f.write(b"\xff\xd8\xff a fake JPEG")
        return {}


class Heif:
    needs = {"pi_heif": "pi-heif", "PIL": "pillow"}

    def load(self, call):
        import importlib.metadata

        import pi_heif  # noqa: F401  whether it starts is told here

        return {"engine": "pi-heif %s" % importlib.metadata.version("pi-heif"), "device": "cpu"}

    def decode(self, call):
        import pi_heif

        try:
            photo = pi_heif.open_heif(call.params["path"])  # only what stands before the pixels
            width, height = photo.size
            if width * height > call.params["pixels"]:
                raise Refused("too_large", "it is a photo of %d by %d pixels; save it in a smaller size" % (width, height))
            image = photo.to_pillow()
            if image.mode != "RGB":
                image = image.convert("RGB")
        except (ValueError, EOFError, SyntaxError, RuntimeError, LookupError) as e:  # it raises any of these
            print("not decoded: %s: %s" % (type(e).__name__, e), file=sys.stderr)
            raise Refused("bad_input", "it is not a photo that can be read, or a damaged one") from None
        image.save(call.params["to"], "JPEG", quality=95)
        return {}


def main():
    engine = {"fake": Fake}.get(engine_of(sys.argv), Heif)()
    caps = {"tasks": ["decode"], "devices": ["cpu"]}
    Worker("photo", {"load": engine.load, "decode": engine.decode}, caps, engine.needs).serve()


if __name__ == "__main__":
    main()
