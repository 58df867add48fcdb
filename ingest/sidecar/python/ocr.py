"""Reads the text on the image of a page with RapidOCR (PP-OCR through onnxruntime), or with Surya 1 (torch)."""

import html.parser
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out

from protocol import Refused, Worker, engine_of  # noqa: E402


class Fake:
    """Says what size an image is: for tests, with no library at all."""

    needs = {}

    def load(self, call):
        return {"engine": "fake ocr", "device": "cpu"}

    def read(self, call):
        width, height = png_size(call.params["path"])
        call.wait(call.params.get("pace_s", 0))
        return {
            "turns": 0, "width": width, "height": height,
            "lines": [{"text": "página de %d × %d" % (width, height), "p": 0.9, "box": [0, 0, width, height / 2]}],
        }


def png_size(path):
    with open(path, "rb") as f:
        head = f.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise Refused("bad_input", "not an image")
    return struct.unpack(">II", head[16:24])


class Rapid:
    """RapidOCR with the models that its wheel brings. It reads a page turned any way."""

    needs = {"rapidocr": "rapidocr", "onnxruntime": "onnxruntime", "cv2": "opencv-python-headless", "numpy": "numpy"}

    def __init__(self):
        self._engine, self._turned = None, []

    def load(self, call):
        import importlib.metadata

        from rapidocr import RapidOCR

        threads = int(call.params.get("threads") or 0)
        params = {"Global.log_level": "error"}
        if threads > 0:
            params["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        self._engine = RapidOCR(params=params)
        self._listen()
        return {"engine": "rapidocr %s PP-OCRv6" % importlib.metadata.version("rapidocr"), "device": "cpu"}

    def _listen(self):
        """RapidOCR turns single lines that stand on their head but keeps that to itself; the page's order needs it."""
        turn = self._engine.cls_and_rotate

        def listening(images):
            images, result = turn(images)
            self._turned = [label == "180" for label, _ in result.cls_res or []]
            return images, result

        self._engine.cls_and_rotate = listening

    def read(self, call):
        import cv2
        import numpy

        if self._engine is None:
            raise Refused("internal", "not loaded")
        with open(call.params["path"], "rb") as f:
            image = cv2.imdecode(numpy.frombuffer(f.read(), numpy.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise Refused("bad_input", "not an image")
        turns, found = self._upright(call, image)
        height, width = turned(image, turns).shape[:2]
        return {"turns": turns, "width": width, "height": height, "lines": found}

    def _upright(self, call, image):
        """Reads it, and again turned where most lines stand or hang: only upright lines come in order.
        Returns by how many quarters it was turned, clockwise, and the lines on the image so turned."""
        turns, found = 0, self._lines(image)
        call.check()
        if found and sum(standing(line["box"]) for line in found) * 2 > len(found):
            turns, found = 1, self._lines(turned(image, 1))
            call.check()
        if self._turned and sum(self._turned) * 2 > len(self._turned):
            turns += 2
            found = self._lines(turned(image, turns))
            call.check()
        return turns, found

    def _lines(self, image):
        self._turned = []
        result = self._engine(image)
        if result.txts is None or result.boxes is None:
            return []
        found = []
        for text, score, polygon in zip(result.txts, result.scores, result.boxes):
            xs, ys = [float(x) for x, _ in polygon], [float(y) for _, y in polygon]
            found.append({"text": text, "p": float(score), "box": [min(xs), min(ys), max(xs), max(ys)]})
        return found


def turned(image, turns):
    """The image turned by so many quarters, clockwise."""
    import cv2

    codes = [None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE]
    return image if codes[turns] is None else cv2.rotate(image, codes[turns])


def standing(box):
    x0, y0, x1, y1 = box
    return y1 - y0 > 1.5 * (x1 - x0)


class Surya1:
    """Surya 1, the last generation that computes in this process: surya-ocr 0.15 to 0.17.

    Its device and batch sizes are variables of the environment that it reads when it is imported."""

    needs = {"surya": "surya-ocr", "torch": "torch", "PIL": "pillow"}

    def __init__(self):
        self._recognition, self._detection = None, None

    def load(self, call):
        import importlib.metadata

        version = importlib.metadata.version("surya-ocr")
        if version.split(".")[:2] not in (["0", "15"], ["0", "16"], ["0", "17"]):
            raise Refused("model_missing", "surya-ocr %s is installed, and Surya 1 is 0.15 to 0.17" % version)
        from surya.settings import settings

        complete(settings)
        from surya.detection import DetectionPredictor
        from surya.foundation import FoundationPredictor
        from surya.recognition import RecognitionPredictor

        call.check()
        self._recognition = RecognitionPredictor(FoundationPredictor())
        self._detection = DetectionPredictor()
        return {"engine": "surya-ocr %s" % version, "device": os.environ.get("TORCH_DEVICE", "cpu")}

    def read(self, call):
        from PIL import Image, UnidentifiedImageError

        if self._recognition is None:
            raise Refused("internal", "not loaded")
        try:
            with Image.open(call.params["path"]) as f:
                image = f.convert("RGB")
        except UnidentifiedImageError:
            raise Refused("bad_input", "not an image") from None
        [result] = self._recognition([image], det_predictor=self._detection)
        call.check()
        found = []
        for line in result.text_lines:
            p = line.confidence
            if p is None or p != p:  # it has no figure for a line of no letters
                p = 0.0
            found.append({"text": Plain.of(line.text), "p": float(p), "box": [float(x) for x in line.bbox]})
        return {"turns": 0, "width": image.width, "height": image.height, "lines": found}


def complete(settings):
    """Surya fetches what is missing of a model when it loads it. Here it is refused instead."""
    for name in ("FOUNDATION_MODEL_CHECKPOINT", "RECOGNITION_MODEL_CHECKPOINT", "DETECTOR_MODEL_CHECKPOINT"):
        checkpoint = getattr(settings, name, "")
        if not checkpoint.startswith("s3://"):
            continue
        if not os.path.exists(os.path.join(settings.MODEL_CACHE_DIR, checkpoint[len("s3://"):], "manifest.json")):
            raise Refused("model_missing", "%s is not in %s" % (checkpoint[len("s3://"):], settings.MODEL_CACHE_DIR))


class Plain(html.parser.HTMLParser):
    """Takes the text out of the tags that Surya writes: bold, small, formulas."""

    def __init__(self):
        super().__init__()
        self._parts = []

    def handle_data(self, data):
        self._parts.append(data)

    @classmethod
    def of(cls, text):
        parser = cls()
        parser.feed(text)
        parser.close()
        return " ".join("".join(parser._parts).split())


def main():
    engine = {"fake": Fake, "surya1": Surya1}.get(engine_of(sys.argv), Rapid)()
    caps = {"tasks": ["ocr"], "devices": ["cpu"]}
    Worker("ocr", {"load": engine.load, "ocr": engine.read}, caps, engine.needs).serve()


if __name__ == "__main__":
    main()
