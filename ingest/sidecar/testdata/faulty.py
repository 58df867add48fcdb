"""An OCR worker that does not do as it should, in the way that its command line names: the real protocol.py
with an engine of the standard library. Arguments: the directory of protocol.py, the worker's name, the behaviour."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, sys.argv[1])
import protocol  # noqa: E402
from ocr import Fake  # noqa: E402

name, behaviour = sys.argv[2:4]
needs = {}
if behaviour == "silent":
    time.sleep(3600)
elif behaviour == "banner":
    print("Welcome to my engine 1.0", flush=True)
elif behaviour == "old":
    protocol.VERSION = 0
elif behaviour == "other":
    name = "somebody else"
elif behaviour == "lacking":
    needs = {"no_such_module": "rapidocr", "nor_this_one": "numpy"}
elif behaviour == "broken":
    raise ImportError("libcudnn_ops.so.9: cannot open shared object file")


class Faulty(Fake):
    def load(self, call):
        if behaviour == "no model":
            raise protocol.Refused("model_missing", "model.bin is not there")
        return super().load(call)

    def raw(self, *parts):
        """Writes to the pipe what no worker should."""
        with worker._lock:
            for data in parts:
                while data:
                    data = data[worker._out.write(data):]
                time.sleep(0.001)

    def read(self, call):
        if behaviour == "garbage":
            self.raw(b"Segmentation detected, 3 objects found\n")
        elif behaviour == "unknown":
            worker.say({"t": "confession"})
        elif behaviour == "long line":
            self.raw(b'{"t":"res","id":"2","ok":"' + b"x" * (9 << 20) + b'"}\n')
        elif behaviour == "endless line":
            self.raw(*([b"x" * (1 << 20)] * (1 << 10)))
        elif behaviour == "too long":  # protocol.py does not let it out
            return {"lines": ["x" * (9 << 20)]}
        elif behaviour == "half a line":
            self.raw(b'{"t":"res","id":"2","o')
            os._exit(0)
        elif behaviour == "neither":
            worker.say({"t": "res", "id": call._id})
        elif behaviour == "wrong id":
            worker.say({"t": "res", "id": "77", "ok": {}})
        elif behaviour == "abort":
            print("Unable to load any of {libcudnn_ops.so.9.1.0}", file=sys.stderr)
            os.abort()
        elif behaviour == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        elif behaviour == "grandchild":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sleep = subprocess.Popen(["sleep", "3600"])
            with open(sys.argv[4], "w") as f:
                f.write(str(sleep.pid))
            time.sleep(3600)
        elif behaviour == "flood":
            for _ in range(2000):
                print("warning " * 400, file=sys.stderr)
        elif behaviour == "prints":  # also as a C library does
            print("Loading model: 100%")
            os.write(1, b"cuda: initialised\n")
            os.system("echo from a child")
        elif behaviour == "drip":
            line = json.dumps({"t": "progress", "id": call._id, "stage": "run", "done": 0.1}).encode() + b"\n"
            self.raw(*(bytes([b]) for b in line))
        elif behaviour == "calls":
            try:
                socket.create_connection(("127.0.0.1", int(sys.argv[4])), 5).close()
                raise protocol.Refused("internal", "it was answered")
            except OSError as e:
                raise protocol.Refused("internal", "it was not: %s" % e)
        elif behaviour == "memory":
            bytearray(20 << 30)
        elif behaviour == "raises":
            raise ValueError("no such tensor")
        answer = super().read(call)
        if behaviour == "invalid UTF-8":
            self.raw(b'{"t":"res","id":"%s","ok":{"turns":0,"width":10,"height":10,"lines":[{"text":"a\xf1o","p":1,"box":[0,0,10,10]}]}}\n'
                     % call._id.encode())
            call._id = "none"
            time.sleep(3600)
        return answer


engine = Faulty()
worker = protocol.Worker(name, {"load": engine.load, "ocr": engine.read}, {"tasks": ["ocr"], "devices": ["cpu"]}, needs)
worker.serve()
