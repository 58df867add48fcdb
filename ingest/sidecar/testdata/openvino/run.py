"""Runs speech.py with the stand-ins beside this file. Arguments: the directory of speech.py, what is wrong with
the NPU, and "bare" where there are neither PyAV nor a voice detector: a WAV is read by the standard library then, and
whoever is silent for half a second does not speak."""

import array
import importlib.metadata
import os
import sys
import wave

os.environ["STANDIN"] = sys.argv[2]
sys.path.insert(0, sys.argv[1])
if sys.argv[2] != "not installed":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import speech  # noqa: E402

version = importlib.metadata.version
importlib.metadata.version = lambda name: "2026.4.1.0" if name == "openvino-genai" else version(name)

if sys.argv[3:] == ["bare"]:

    class Recording:
        def __init__(self, path):
            try:
                with wave.open(path, "rb") as f:
                    raw = array.array("h", f.readframes(f.getnframes()))
            except (wave.Error, EOFError):
                raise speech.Refused("bad_input", "no recording")
            self.sound = array.array("f", (x / 32768 for x in raw))
            self.duration = self.clock = len(raw) / speech.RATE

        def lost(self):
            return []

    class Windows:
        def __init__(self, call, recording, start_s, window_s, cut):
            self.recording, self.first, self.size = recording, int(start_s * speech.RATE), int(window_s * speech.RATE)

        def __iter__(self):
            for at in range(self.first, len(self.recording.sound), self.size):
                yield at / speech.RATE, self.recording.sound[at:at + self.size]

    def stamps(self, audio, **options):
        step, found = speech.RATE // 2, []
        for at in range(0, len(audio), step):
            if max(audio[at:at + step]) > 0.01:
                end = min(at + step, len(audio))
                if found and found[-1]["end"] == at and end - found[-1]["start"] <= speech.PIECE_S * speech.RATE:
                    found[-1]["end"] = end
                else:
                    found.append({"start": at, "end": end})
        return found

    speech.Recording, speech.Windows, speech.Hearing._speech = Recording, Windows, stamps
    speech.Real.needs = {}

speech.main()
