"""A stand-in for openvino-genai 2026.4: the names, signatures and shapes of its Whisper, without a model. What it
hears is how long the sound is. TestWheel holds its names to those of the real wheel.

STANDIN says what is wrong with its NPU: "compile", "first inference", "later" (the third), "abort", or nothing; "older"
is a version that has no ASRPipeline."""

import os

FAULT = os.environ.get("STANDIN", "")


class ASRGenerationConfig:
    def __init__(self, json_path=None, **kwargs):
        self.language, self.task, self.return_timestamps, self.is_multilingual, self.num_beams = None, None, False, True, 1
        for name, value in kwargs.items():
            setattr(self, name, value)


class ASRDecodedResultChunk:
    def __init__(self, start_ts, end_ts, text):
        self.start_ts, self.end_ts, self.text, self.token_ids = start_ts, end_ts, text, []


class ASRDecodedResults:
    def __init__(self, texts, languages, chunks):
        self.texts, self.scores, self.languages, self.chunks, self.words, self.perf_metrics = texts, [0.0], languages, chunks, None, None


class ASRPipeline:
    def __init__(self, models_path, device, **kwargs):
        if not os.path.isfile(os.path.join(models_path, "openvino_encoder_model.xml")):
            raise RuntimeError("Check 'stream.is_open()' failed")
        if device not in ("CPU", "GPU", "NPU"):
            raise RuntimeError("Device with %r name is not registered in the OpenVINO Runtime" % device)
        for name, value in kwargs.items():
            if (name, type(value)) not in (("CACHE_DIR", str), ("INFERENCE_NUM_THREADS", int)):
                raise RuntimeError("Unsupported configuration key: %s" % name)
        if device == "NPU" and FAULT == "compile":
            raise RuntimeError("L0 pfnCreate2 result: ZE_RESULT_ERROR_UNSUPPORTED_FEATURE")
        self._device, self._calls = device, 0
        if device == "NPU" and "CACHE_DIR" in kwargs:
            os.makedirs(kwargs["CACHE_DIR"], exist_ok=True)
            with open(os.path.join(kwargs["CACHE_DIR"], "encoder.blob"), "wb") as f:
                f.write(b"compiled")

    def get_generation_config(self):
        return ASRGenerationConfig()

    def set_generation_config(self, config):
        pass

    def get_tokenizer(self):
        return None

    def generate(self, audio_inputs, generation_config=None, streamer=None, **kwargs):
        if not isinstance(audio_inputs, (list, tuple)) or not all(isinstance(x, float) for x in audio_inputs):
            raise TypeError("generate(): incompatible function arguments")
        if not isinstance(generation_config, ASRGenerationConfig):
            raise TypeError("generate(): incompatible function arguments")
        if generation_config.num_beams != 1:
            raise RuntimeError("Currently only greedy and multinomial decoding are supported")
        if streamer is not None and generation_config.return_timestamps:
            raise RuntimeError("Streamer is not supported with timestamps")
        language = generation_config.language
        if language is not None and not (language.startswith("<|") and language.endswith("|>")):
            raise RuntimeError("'language' %r must be provided in generation_config.json" % language)
        self._calls += 1
        if self._device == "NPU":
            if FAULT == "abort" and self._calls > 1:
                os.abort()
            if FAULT == "first inference" or FAULT == "later" and self._calls == 3:
                raise RuntimeError("L0 zeCommandQueueExecuteCommandLists result: ZE_RESULT_ERROR_DEVICE_LOST")
        seconds = len(audio_inputs) / 16000
        said = [" %s %.1f s de voz." % (self._device, seconds), " Fin."]
        chunks = [ASRDecodedResultChunk(0.0, seconds / 2, said[0]), ASRDecodedResultChunk(seconds / 2, -1.0, said[1])]
        return self._results("".join(said), (language or "<|es|>").strip("<|>"), chunks)

    def _results(self, text, language, chunks):
        return ASRDecodedResults([text], [language], [chunks])


if FAULT == "older":

    class WhisperDecodedResults:
        def __init__(self, texts, chunks):
            self.texts, self.scores, self.chunks, self.words, self.perf_metrics = texts, [0.0], chunks, None, None

    class WhisperPipeline(ASRPipeline):
        def _results(self, text, language, chunks):
            return WhisperDecodedResults([text], chunks)

    del ASRPipeline
