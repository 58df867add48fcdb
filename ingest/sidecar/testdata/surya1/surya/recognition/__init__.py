import os

from surya.detection import DetectionPredictor
from surya.foundation import FoundationPredictor
from surya.settings import settings


class TextLine:
    def __init__(self, text, confidence, bbox):
        x0, y0, x1, y1 = bbox
        self.text, self.confidence, self.bbox = text, confidence, bbox
        self.polygon = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
        self.chars, self.words, self.original_text_good = [], [], False


class OCRResult:
    def __init__(self, text_lines, image_bbox):
        self.text_lines, self.image_bbox = text_lines, image_bbox


class RecognitionPredictor:
    def __init__(self, foundation_predictor):
        assert isinstance(foundation_predictor, FoundationPredictor)

    def __call__(self, images, task_names=None, det_predictor=None, **options):
        assert isinstance(det_predictor, DetectionPredictor)
        if os.environ["TORCH_DEVICE"] == "cuda" and settings.RECOGNITION_BATCH_SIZE > 64:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        results = []
        for image in images:
            assert image.mode == "RGB"
            w, h = image.width, image.height
            sizes = "%s %d %d" % (os.environ["TORCH_DEVICE"], settings.RECOGNITION_BATCH_SIZE, settings.DETECTOR_BATCH_SIZE)
            results.append(OCRResult([
                TextLine("<b>Cláusula</b> primera &amp; <math>x^2</math>", 0.97, [0.1 * w, 0.1 * h, 0.9 * w, 0.15 * h]),
                TextLine(sizes, 0.9, [0.1 * w, 0.4 * h, 0.9 * w, 0.45 * h]),
                TextLine("---", float("nan"), [0.1 * w, 0.8 * h, 0.9 * w, 0.85 * h]),
            ], [0, 0, w, h]))
        return results
