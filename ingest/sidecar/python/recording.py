"""The sound of a recording, decoded with PyAV as far as it can be, and cut into windows."""

from protocol import Refused

RATE = 16000
TAIL_S = 60.0  # of a window: there it is cut
SLACK_S = 0.5  # frames are padded, clocks are rounded
LONGEST_S = 24 * 3600.0  # a few bytes may claim, or hold, years of silence: no other recording would get its turn


def ms(seconds):
    return round(seconds, 3)


class Recording:
    """The sound of a file as 16 kHz mono, from its beginning; where it is broken there is silence, and a note of it."""

    def __init__(self, path):
        import av

        self._av = av
        try:
            self._container = av.open(path, metadata_errors="ignore")
        except (av.error.FFmpegError, ValueError, UnicodeError) as e:
            why = getattr(e, "strerror", None) or type(e).__name__  # str(e) has the file's path
            raise Refused("bad_input", "no recording: %s" % why)
        if not self._container.streams.audio:
            raise Refused("no_sound", "there is no sound in it")
        self._stream = self._container.streams.audio[0]
        self.unread = []
        self.clock = 0.0  # seconds of sound given so far
        self._origin = None
        length = self._length(path)
        self.declared = length if 0 <= length <= LONGEST_S else 0.0
        self.duration = self.declared

    def _length(self, path):
        """The length that the file's header claims; 0 where it is only guessed from bit rate and file size."""
        name = self._container.format.name
        length = 0.0
        if self._stream.duration:
            length = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration:
            length = self._container.duration / 1e6
        if name == "wav":
            return max(length, wav_length(path, self._stream.codec_context.bit_rate or 0))
        if name in ("aac", "amr", "ac3") or name == "mp3" and not mp3_counted(path):
            return 0.0
        return length

    def samples(self):
        """Yields arrays of float32, ends where the file does."""
        import numpy

        resampler = self._resampler()
        for frame in self._frames():
            gap = self._gap(frame)
            while gap > 0:
                part = min(gap, TAIL_S)
                gap -= part
                self.clock += part
                yield numpy.zeros(int(part * RATE), numpy.float32)
            self.clock += frame.samples / frame.sample_rate
            if self.clock > LONGEST_S:
                raise Refused("bad_input", "it is longer than a day")
            frame.pts = None
            try:
                heard = resampler.resample(frame)
            except ValueError:  # the sound changes its form in the middle
                resampler = self._resampler()
                heard = resampler.resample(frame)
            for out in heard:
                yield floats(out)
        for out in resampler.resample(None):
            yield floats(out)
        slack = 2.0 if self._container.streams.video else SLACK_S  # a film may be longer than its sound
        if self.declared - self.clock > slack:
            self.unread.append([self.clock, self.declared])
        self.duration = max(self.clock, self.declared)

    def lost(self):
        return [[ms(a), ms(b)] for a, b in self.unread]

    def _resampler(self):
        # As faster-whisper decodes it, to the bit: to floats, libswresample makes stereo louder than it was.
        return self._av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def _frames(self):
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except (self._av.error.InvalidDataError, self._av.error.PermissionError):
                continue  # the gap shows in the next frame's time, or at the end
            except (self._av.error.EOFError, self._av.error.FFmpegError):
                return
            yield from frames

    def _gap(self, frame):
        """The seconds that are lost before frame, noted as unread."""
        if frame.time is None:
            return 0.0
        if self._origin is None:
            self._origin = frame.time
        lost = frame.time - self._origin - self.clock
        if lost < SLACK_S or not self.declared or frame.time - self._origin > self.declared + SLACK_S:
            return 0.0
        self.unread.append([self.clock, self.clock + lost])
        return lost


def floats(frame):
    """A frame's samples, from -1 to 1."""
    return frame.to_ndarray().reshape(-1).astype("float32") / 32768


def wav_length(path, bits_per_second):
    """The length that the data chunk's header claims: libav believes the file's size."""
    with open(path, "rb") as f:
        head = f.read(4096)
    at = head.find(b"data")
    if not bits_per_second or head[:4] != b"RIFF" or at < 0 or at + 8 > len(head):
        return 0.0
    size = int.from_bytes(head[at + 4:at + 8], "little")
    return 0.0 if size >= 0xFFFFFF00 else size * 8 / bits_per_second


def mp3_counted(path):
    """Whether an MP3 says how many frames it has."""
    with open(path, "rb") as f:
        head = f.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            size = 0
            for b in head[6:10]:
                size = size << 7 | b & 0x7F
            f.seek(10 + size)
        else:
            f.seek(0)
        head = f.read(4096)
    return any(tag in head for tag in (b"Xing", b"Info", b"VBRI"))


class Windows:
    """Cuts a recording's sound into windows: pairs of a start in seconds and samples."""

    def __init__(self, call, recording, start_s, window_s, cut):
        self._call, self._recording = call, recording
        self._start, self._size, self._cut = int(start_s * RATE), int(window_s * RATE), cut

    def __iter__(self):
        import numpy

        seen, held, parts = 0, 0, []
        told = 0
        for samples in self._recording.samples():
            first, seen = seen, seen + len(samples)
            if seen - told > 60 * RATE:
                told = seen
                self._call.check()
                self._call.progress("decode", seen / RATE, self._recording.duration)
            if seen <= self._start:
                continue
            parts.append(samples[max(0, self._start - first):])
            held += len(parts[-1])
            while held >= self._size:
                whole = numpy.concatenate(parts)
                at = self._cut(whole[:self._size])
                yield self._start / RATE, whole[:at]
                self._start += at
                # A copy: a view would keep the whole window in memory.
                parts, held = [whole[at:].copy()], held - at
        if held:
            yield self._start / RATE, numpy.concatenate(parts)
