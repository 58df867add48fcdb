"""A stand-in for surya-ocr 0.17.1, with its interface and nothing behind it: facts/perception.md, 1.1 and 1.2."""

import os


class Settings:
    MODEL_CACHE_DIR = os.environ["MODEL_CACHE_DIR"]
    FOUNDATION_MODEL_CHECKPOINT = "s3://text_recognition/2025_09_23"
    DETECTOR_MODEL_CHECKPOINT = "s3://text_detection/2025_05_07"
    RECOGNITION_BATCH_SIZE = int(os.environ["RECOGNITION_BATCH_SIZE"])
    DETECTOR_BATCH_SIZE = int(os.environ["DETECTOR_BATCH_SIZE"])


settings = Settings()
