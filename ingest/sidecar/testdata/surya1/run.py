"""Runs the real ocr.py with the stand-ins beside this file. Arguments: the directory of ocr.py, then ocr.py's own."""

import os
import sys

sys.path[:0] = [sys.argv.pop(1), os.path.dirname(os.path.abspath(__file__))]
import ocr  # noqa: E402

ocr.main()
