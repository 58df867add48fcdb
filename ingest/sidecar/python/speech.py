"""Hears a recording with faster-whisper, or with openvino-genai on an NPU: windows of sound, cut where nobody
speaks, one after the other.

The feature extractor copies all it is given many times over (3 GB for an hour), so it is never given a whole file.
"""

import math
import os
import re
import sys
import unicodedata
import wave
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out

from protocol import Refused, Worker, engine_of  # noqa: E402
from recording import RATE, TAIL_S, Recording, Windows, ms  # noqa: E402

WINDOW_S = 600.0  # of the 900 allowed: more only takes memory
PIECE_S = 28.0  # of speech that openvino-genai is given at once: what Whisper hears at once, less the edges
SILENCE_S = 2.0  # between two segments rather than within one
SURE = 0.8  # that another language is spoken

# What Whisper writes where nobody speaks: the ends of the videos that it learnt from. People say such things too.
PHRASES = {
    "suscribete", "suscribete al canal", "no olvides suscribirte", "dale like y suscribete",
    "subtitulos realizados por la comunidad de amara org", "subtitulos por la comunidad de amara org",
    "subtitulado por la comunidad de amara org", "mas informacion www alimmenta com",
    "gracias por ver el video", "gracias por ver", "muchas gracias por ver el video", "hasta la proxima",
    "subtitles by the amara org community", "thanks for watching", "thank you for watching", "thank you",
    "please subscribe", "subscribe", "like and subscribe", "please subscribe to my channel",
    "see you in the next video", "you", "bye",
}


def plain(text):
    """Lower case letters and digits without accents, a space between words."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", " ", text).strip()


def invented(text, no_speech, log_probability, compression, before):
    """Why a segment is none, or "". Each signal alone is often wrong about what was really said."""
    if no_speech > 0.6 and log_probability < -1:
        return "silence"
    words = plain(text)
    # That is the ratio of half a minute: a message that is played three times has it too, and is kept.
    if compression > 2.4 and (words in before or re.search(r"(.+?)( ?\1){4}", words)):
        return "loop"
    if len(before) >= 3 and len(words.split()) > 1 and all(words == b for b in before[-3:]):
        return "loop"
    if words in PHRASES and no_speech > 0.4 and log_probability < -0.4:
        return "phrase"
    return ""


class Hearing:
    """What is the same for every engine: a recording is decoded, cut into windows, and what is heard in each is told."""

    def transcribe(self, call):
        p = call.params
        recording = Recording(p["path"])
        self._begin(p, lambda: (call.check(), call.progress("hear", end, recording.duration)))
        spoken, speech, end = {}, 0.0, 0.0
        window_s = min(900.0, float(p.get("window_s") or WINDOW_S))
        for start, audio in Windows(call, recording, float(p.get("start_s") or 0), window_s, self._cut):
            call.check()
            end = start + len(audio) / RATE
            call.event("window", {"s": ms(start), "e": ms(end), "total_s": ms(recording.duration)})
            stamps = self._speech(audio)
            speech += sum(s["end"] - s["start"] for s in stamps) / RATE
            for first, until, text, probability, language in self._window(call, audio, stamps, start, end) if stamps else ():
                spoken[language] = spoken.get(language, 0) + until - first
                call.event("segment", {"s": ms(first), "e": ms(until), "text": text, "p": probability, "language": language})
            # A file that does not say how long it is has at least what is decoded of it: more than the window, until its end.
            total = max(recording.duration, recording.clock, end)
            call.event("done", {"e": ms(end), "total_s": ms(total), "unread": recording.lost()})
        return {
            "language": p.get("language") or max(spoken, key=spoken.get, default=""), "speech_s": ms(speech),
            "duration_s": ms(max(recording.duration, recording.clock)), "unread": recording.lost(),
        }

    def _speech(self, audio, **options):
        """Where somebody speaks. Without options it is what vad_filter goes by: a pause of 2 s ends a speech, and a
        shorter limit was heard to cost words."""
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        return get_speech_timestamps(audio, VadOptions(**options))

    def _cut(self, audio):
        """Where to cut: the middle of the longest silence in the window's tail, or where it is least loud."""
        import numpy

        tail = min(int(TAIL_S * RATE), len(audio) // 2)
        first = len(audio) - tail
        edges = [0]
        for stamp in self._speech(audio[first:], min_silence_duration_ms=100):
            edges += [stamp["start"], stamp["end"]]
        gaps = list(zip(edges[::2], edges[1::2] + [tail]))
        start, end = max(gaps, key=lambda g: g[1] - g[0])
        if end - start > RATE // 10:
            return max(1, first + (start + end) // 2)
        step = RATE // 20
        loud = numpy.abs(audio[first:first + tail // step * step]).reshape(-1, step).mean(axis=1)
        return first + int(loud.argmin()) * step + step // 2


class Whisper(Hearing):
    needs = {"faster_whisper": "faster-whisper", "ctranslate2": "ctranslate2", "av": "av", "onnxruntime": "onnxruntime", "numpy": "numpy"}

    def __init__(self):
        self._model, self._ear = None, None

    def load(self, call):
        import importlib.metadata

        path = call.params.get("model") or ""
        for name in ("model.bin", "config.json", "tokenizer.json"):
            # Without its tokenizer faster-whisper would fetch another's from the network.
            if not os.path.isfile(os.path.join(path, name)):
                raise Refused("model_missing", "%s is not in %r" % (name, path))
        version = importlib.metadata.version("faster-whisper")
        device, compute = call.params.get("device") or "cpu", call.params.get("compute") or "int8"
        threads = int(call.params.get("threads") or 0)
        source, why = "", ""
        try:
            self._model = self._open(path, device, compute, threads)
        except (RuntimeError, ValueError) as e:
            if device == "cpu":
                raise
            source, why = device, str(e)[:300]
            device, compute = "cpu", "int8"
            self._model = self._open(path, device, compute, threads)
        name = os.path.basename(os.path.normpath(path))
        return answer("faster-whisper %s %s" % (version, name), device, compute, source, why)

    def _open(self, path, device, compute, threads):
        import numpy
        from faster_whisper import WhisperModel

        model = WhisperModel(path, device=device, compute_type=compute, cpu_threads=threads, local_files_only=True)
        if device != "cpu":  # which libraries of the card are missing only an inference tells
            bands, frames = model.feature_extractor.mel_filters.shape[0], model.feature_extractor.nb_max_frames
            model.encode(numpy.zeros((bands, frames), numpy.float32))
        self._ear = model.model = Ear(model.model)
        return model

    def _begin(self, params, heed):
        self._ear.language, self._ear.expected, self._ear.heed = params.get("hint") or None, params.get("expected") or [], heed

    def _window(self, call, audio, stamps, start, end):
        """Hears one window. Yields what was said: start, end, text, probability and language."""
        import numpy
        from faster_whisper.transcribe import restore_speech_timestamps

        language = call.params.get("language")
        # Whisper is given the speech without the silence, as by vad_filter, which would look for it once more. A segment
        # may go across a silence; where that would make its times wrong, each word's are asked for, which is slower.
        silence = max((b["start"] - a["end"] for a, b in zip(stamps, stamps[1:])), default=0) / RATE
        segments, _ = self._model.transcribe(
            numpy.concatenate([audio[s["start"]:s["end"]] for s in stamps]), language=language or self._ear.language,
            multilingual=language is None, beam_size=5, condition_on_previous_text=False, word_timestamps=silence > SILENCE_S)
        before, last = [], start
        for s in restore_speech_timestamps(segments, stamps, RATE):
            call.check()
            why = invented(s.text, s.no_speech_prob, s.avg_logprob, s.compression_ratio, before)
            before = before[-2:] + [plain(s.text)]
            if why:
                call.event("dropped", {"s": start + s.start, "e": start + s.end, "why": why})
                continue
            for first, until, text in spans(s):
                last = min(max(last, start + first), end)
                until = min(max(last, start + until), end)
                yield last, until, text, math.exp(min(0.0, s.avg_logprob)), language or self._ear.language


def spans(segment):
    """A segment, in parts where there is a silence between its words."""
    if not segment.words:
        return [(segment.start, segment.end, segment.text.strip())]
    parts = []
    for word in segment.words:
        if parts and word.start - parts[-1][1] < SILENCE_S:
            parts[-1] = (parts[-1][0], word.end, parts[-1][2] + word.word)
        else:
            parts.append((word.start, word.end, word.word))
    return [(float(a), float(b), text.strip()) for a, b, text in parts]


class Ear:
    """The model, as faster-whisper calls it. It is asked for the language of every half minute, and told to be sure
    before it changes; what it answered last is kept, since faster-whisper tells only the first. Where it hears music it
    is asked for the words again and again, which takes minutes: between them it heeds the caller, and shows that it lives."""

    def __init__(self, model):
        self._model, self.language, self.expected, self.heed = model, None, [], lambda: None

    def __getattr__(self, name):
        return getattr(self._model, name)

    def generate(self, *args, **kwargs):
        self.heed()
        return self._model.generate(*args, **kwargs)

    def detect_language(self, *args, **kwargs):
        results = self._model.detect_language(*args, **kwargs)
        token, probability = results[0][0]
        if probability < SURE:  # of a few words it may think that they are Greek
            likely = [r for r in results[0] if r[0][2:-2] in self.expected]
            token, probability = likely[0] if likely else results[0][0]
        if self.language is None or probability >= SURE:
            self.language = token[2:-2]
        return [[("<|%s|>" % self.language, probability)]]


class OpenVINO(Hearing):
    """Whisper by openvino-genai, on the NPU. Where that cannot compile the model, or compute, it goes on on the CPU."""

    files = ("openvino_encoder_model.xml", "openvino_decoder_model.xml", "openvino_tokenizer.xml", "openvino_detokenizer.xml")

    def load(self, call):
        import importlib.metadata

        p = call.params
        self._path = p.get("model") or ""
        for name in self.files:
            if not os.path.isfile(os.path.join(self._path, name)):
                raise Refused("model_missing", "%s is not in %r" % (name, self._path))
        self._cache, self._threads = p.get("cache") or "", int(p.get("threads") or 0)
        self._device, self._source, self._why = p.get("device") or "CPU", "", ""
        try:
            self._open()
            # The first inference fails where the compilation did not.
            self._pipe.generate([0.0] * RATE, self._config)
        except (RuntimeError, ValueError) as e:
            self._to_cpu(e)
        version = importlib.metadata.version("openvino-genai")
        name = os.path.basename(os.path.normpath(self._path))
        return answer("openvino-genai %s %s" % (version, name), self._device.lower(), "", self._source, self._why)

    def _open(self):
        import openvino_genai

        # What compiles in minutes the first time is kept, and loads in seconds.
        properties = {"CACHE_DIR": self._cache} if self._cache else {}
        if self._device == "CPU" and self._threads > 0:
            properties["INFERENCE_NUM_THREADS"] = self._threads
        pipeline = getattr(openvino_genai, "ASRPipeline", None) or openvino_genai.WhisperPipeline  # the older twin
        self._pipe = pipeline(self._path, self._device, **properties)
        self._config = self._pipe.get_generation_config()
        self._config.return_timestamps = True
        if self._config.is_multilingual:
            self._config.task = "transcribe"

    def _to_cpu(self, error):
        if self._device == "CPU":
            raise error
        self._source, self._why, self._device = self._device.lower(), str(error)[:300], "CPU"
        self._pipe = None  # its memory, before the other's
        self._open()

    def _begin(self, params, heed):
        self._hint, self._heed = params.get("hint") or "", heed

    def _speech(self, audio, **options):
        return super()._speech(audio, **(options or {"max_speech_duration_s": PIECE_S}))

    def _window(self, call, audio, stamps, start, end):
        """Hears one window, piece by piece: nothing stops the pipeline in the middle of one. It tells no
        probabilities, so that of what it invents only the loops are known."""
        language = call.params.get("language")
        before, last = [], start
        for first, until in pieces(stamps):
            self._heed()
            result = self._generate(call, audio[first:until].tolist(), language)
            base = start + first / RATE
            for a, b, text in ranges(result, (until - first) / RATE):
                why = invented(text, 0.0, 0.0, compression(text), before)
                before = before[-2:] + [plain(text)]
                if why:
                    call.event("dropped", {"s": base + a, "e": base + b, "why": why})
                    continue
                last = min(max(last, base + a), end)
                b = min(max(last, base + b), end)
                yield last, b, text, 0.0, language or language_of(result) or self._hint

    def _generate(self, call, audio, language):
        if self._config.is_multilingual:
            self._config.language = "<|%s|>" % language if language else None
        try:
            return self._pipe.generate(audio, self._config)
        except (RuntimeError, ValueError) as e:
            self._to_cpu(e)
        call.event("fallback", {"device": "cpu", "fallback_from": self._source, "reason": self._why})
        return self._generate(call, audio, language)


def answer(engine, device, compute, source, why):
    """What load answers. Source and why are the device that was asked for and what was wrong with it."""
    return {"engine": engine, "device": device, "compute": compute, "fallback_from": source, "reason": why}


def pieces(stamps):
    """Joins what is spoken, in samples, while it is near and short enough to be heard at once."""
    joined = []
    for stamp in stamps:
        near = joined and stamp["start"] - joined[-1][1] < SILENCE_S * RATE
        if near and stamp["end"] - joined[-1][0] <= PIECE_S * RATE:
            joined[-1][1] = stamp["end"]
        else:
            joined.append([stamp["start"], stamp["end"]])
    return joined


def ranges(result, length):
    """What openvino-genai heard in so many seconds: start, end and text. An end that it does not tell is below zero."""
    chunks = result.chunks or []
    if chunks and isinstance(chunks[0], (list, tuple)):  # ASRPipeline has a list for each input
        chunks = chunks[0]
    found = [(float(c.start_ts), float(c.end_ts), c.text.strip()) for c in chunks] or [(0.0, length, str(result.texts[0]).strip())]
    for start, end, text in found:
        start = min(max(0.0, start), length)
        if text:
            yield start, length if end < start else min(end, length), text


def language_of(result):
    """The language that was heard, of two letters, or "": versions before 2026 do not tell."""
    told = getattr(result, "languages", None) or [getattr(result, "language", None)]
    return (told[0] or "").strip("<|>")


def compression(text):
    """How much shorter a text becomes, as faster-whisper measures it."""
    raw = text.encode("utf-8")
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


class Real:
    """The engine that load asks for."""

    needs = Whisper.needs
    uses = {"openvino_genai": "openvino-genai"}

    def __init__(self):
        self._engine = None

    def load(self, call):
        engine = OpenVINO() if call.params.get("engine") == "openvino" else Whisper()
        told = engine.load(call)
        self._engine = engine
        return told

    def transcribe(self, call):
        if self._engine is None:
            raise Refused("internal", "not loaded")
        return self._engine.transcribe(call)


class Fake:
    """Hears a sentence in every window of a WAV file: for tests, with no library at all."""

    needs, uses = {}, {}

    def load(self, call):
        return answer("fake speech", "cpu", "", "", "")

    def transcribe(self, call):
        p = call.params
        try:
            with wave.open(p["path"], "rb") as f:
                total = f.getnframes() / f.getframerate()
        except (wave.Error, EOFError, OSError):
            raise Refused("bad_input", "no recording")
        window, start = float(p.get("window_s") or WINDOW_S), float(p.get("start_s") or 0)
        while start < total:
            end = min(total, start + window)
            call.event("window", {"s": start, "e": end, "total_s": total})
            call.wait(p.get("pace_s", 0))
            call.event("segment", {"s": start, "e": end, "text": "ventana de %g s a %g s" % (start, end), "p": 0.9, "language": "es"})
            call.event("done", {"e": end, "total_s": total, "unread": []})
            start = end
        return {"language": "es", "duration_s": total, "speech_s": total, "unread": []}


def devices():
    """Where an engine can compute. What OpenVINO finds is asked for only where that is wanted: it opens drivers."""
    found = ["cpu"]
    if os.environ.get("ACERVO_OPENVINO"):
        try:
            import openvino
            import openvino_genai  # noqa: F401

            found += [d.lower() for d in openvino.Core().available_devices if d != "CPU"]
        except Exception as e:  # it is not there, or broken: the others are told
            print("openvino: %s" % e, file=sys.stderr)
    return found


def main():
    engine = Fake() if engine_of(sys.argv) == "fake" else Real()
    caps = {"tasks": ["transcribe"], "devices": [], "languages": "*"}
    worker = Worker("speech", {"load": engine.load, "transcribe": engine.transcribe}, caps, engine.needs, engine.uses)
    caps["devices"] = devices()  # now that nothing it prints comes into the pipe
    worker.serve()


if __name__ == "__main__":
    main()
