import assert from "node:assert/strict";
import { test } from "node:test";
import { events, parser } from "../page/sse.js";

const stream = ": hello\r\n\r\nevent: token\ndata: {\"text\":\"año\"}\n\nevent:done\rdata:1\rdata: 2\r\r\ndata\n\nevent: lost\n\n";
const want = [["token", '{"text":"año"}'], ["done", "1\n2"], ["message", ""]];

test("events are found wherever the stream is cut", () => {
  for (let size = 1; size <= stream.length; size++) {
    const got = [];
    const feed = parser((event, data) => got.push([event, data]));
    for (let i = 0; i < stream.length; i += size) feed(stream.slice(i, i + size));
    assert.deepEqual(got, want, `pieces of ${size}`);
  }
});

test("characters that are cut between two reads stay whole", async () => {
  const bytes = new TextEncoder().encode('data: {"a":"ñandú 🧑‍🌾"}\n\n');
  const body = new ReadableStream({
    start(c) {
      for (const b of bytes) c.enqueue(Uint8Array.of(b));
      c.close();
    },
  });
  const got = [];
  for await (const e of events(new Response(body))) got.push(e);
  assert.deepEqual(got, [["message", { a: "ñandú 🧑‍🌾" }]]);
});
