"""The worker's side of Acervo's protocol: one JSON object a line, on the pipes the worker was born with.

Standard library only: a broken environment must be told in words, not by silence.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import threading
import traceback

VERSION = 1
MAX_LINE = 8 << 20


class Refused(Exception):
    """What the caller is told of a request that cannot be served; code is one of the protocol's."""

    def __init__(self, code, msg):
        super().__init__(msg)
        self.code, self.msg = code, msg


class Call:
    """One request in hand. A handler calls check() wherever it can stop."""

    def __init__(self, worker, ident, params):
        self._worker, self._id, self.params = worker, ident, params
        self._cancelled = threading.Event()

    def cancel(self):
        self._cancelled.set()

    def check(self):
        if self._cancelled.is_set():
            raise Refused("cancelled", "the caller no longer wants it")

    def wait(self, seconds):
        """Sleeps, but not past a cancel."""
        self._cancelled.wait(seconds)
        self.check()

    def event(self, kind, value):
        self._worker.say({"t": "event", "id": self._id, "kind": kind, "v": value})

    def progress(self, stage, done, total=0.0):
        self._worker.say({"t": "progress", "id": self._id, "stage": stage, "done": done, "total": total})


class Worker:
    """Serves requests until its input ends. handlers maps a method to a function of a Call; needs and uses map the
    modules that it cannot and can do without to their packages."""

    def __init__(self, name, handlers, caps, needs, uses=None):
        self._name, self._handlers, self._caps, self._needs, self._uses = name, handlers, caps, needs, uses or {}
        self._lock = threading.Lock()
        self._todo, self._ready = [], threading.Semaphore(0)
        self._call = None
        # Libraries print, and C libraries too. What they print goes to stderr, and the pipe stays clean.
        sys.stdout.flush()
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def say(self, message):
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")
        if len(line) > MAX_LINE:
            raise Refused("internal", "the answer is too long")
        line += b"\n"
        with self._lock:
            while line:  # a raw pipe may take a part
                line = line[self._out.write(line):]

    def serve(self):
        self.say(self._hello())
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._ready.acquire()
            self._answer(self._todo.pop(0))

    def _hello(self):
        libs, missing = {}, []
        for module, package in {**self._needs, **self._uses}.items():
            if importlib.util.find_spec(module) is None:
                if module in self._needs:
                    missing.append(package)
                continue
            try:
                libs[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                libs[package] = "?"
        return {
            "t": "hello", "proto": VERSION, "worker": self._name, "ver": "1.0.0", "pid": os.getpid(),
            "python": platform.python_version(), "caps": self._caps, "libs": libs, "missing": missing,
        }

    def _listen(self):
        """Hears what must not wait for the work: cancel, ping, and the end of the caller."""
        source = sys.stdin.buffer
        while True:
            line = source.readline(MAX_LINE + 1)
            if not line.endswith(b"\n"):
                os._exit(0)  # the caller is gone: nobody needs what is being computed
            message = json.loads(line)
            kind = message.get("t")
            if kind == "req":
                call = Call(self, message["id"], message.get("p") or {})
                self._call = call
                self._todo.append((message.get("m"), call))
                self._ready.release()
            elif kind == "cancel":
                if self._call is not None and self._call._id == message.get("id"):
                    self._call.cancel()
            elif kind == "ping":
                self.say({"t": "pong", "n": message.get("n", 0), "rss_mb": rss_mb()})
            elif kind == "bye":
                os._exit(0)

    def _answer(self, todo):
        method, call = todo
        answer = {"t": "res", "id": call._id}
        try:
            handler = self._handlers.get(method)
            if handler is None:
                raise Refused("unsupported", "no method %r" % (method,))
            answer["ok"] = handler(call)
            self.say(answer)
            return
        except Refused as e:
            answer["err"] = {"code": e.code, "msg": e.msg}
        except MemoryError:
            answer["err"] = {"code": "oom_ram", "msg": "not enough memory"}
        except Exception as e:  # whatever a library throws is told, not died of
            traceback.print_exc(file=sys.stderr)
            answer["err"] = {"code": code_of(e), "msg": ("%s: %s" % (type(e).__name__, e))[:1000]}
        answer.pop("ok", None)
        self.say(answer)


def code_of(error):
    text = str(error).lower()
    return "oom_gpu" if "out of memory" in text and ("cuda" in text or "cublas" in text) else "internal"


def rss_mb():
    """The memory this process holds; 0 where that cannot be told without a library."""
    try:
        with open("/proc/self/statm", "rb") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    except (OSError, ValueError, AttributeError):
        return 0


def engine_of(argv):
    """The engine that the command line asks for: --engine NAME, or real."""
    return argv[argv.index("--engine") + 1] if "--engine" in argv else "real"
