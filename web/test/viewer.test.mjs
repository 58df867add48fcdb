import assert from "node:assert/strict";
import { test } from "node:test";

// The least of a browser that the viewer needs.
class Element {
  constructor(name) {
    Object.assign(this, { name, children: [], attributes: {}, listeners: {}, classList: { add() {} }, style: {} });
  }
  addEventListener(type, f) { this.listeners[type] = f; }
  setAttribute(name, value) { this.attributes[name] = value; }
  append(...nodes) { this.children.push(...nodes); }
  prepend(...nodes) { this.children.unshift(...nodes); }
  replaceChildren(...nodes) { this.children = nodes; }
  replaceWith(node) { this.replacement = node; }
  showModal() { this.open = true; }
  focus() { document.activeElement = this; }
  close() { this.open = false; this.listeners.close?.(); }
  scrollIntoView() {}
  querySelector(selector) {
    const classes = selector.split(", ").map((s) => s.replace(/^\./, ""));
    return this.children.find((c) => classes.includes(c.className) || classes.includes(c.name)) ?? null;
  }
}
const byId = {};
const answers = {};
globalThis.localStorage = { getItem: () => "es" };
globalThis.document = {
  documentElement: {},
  createElement: (name) => new Element(name),
  getElementById: (id) => (byId[id] ??= new Element(id)),
};
globalThis.fetch = async (url) => new Response(JSON.stringify(answers[url] ?? {}), { status: answers[url] ? 200 : 404, headers: { "Content-Type": "application/json" } });

const { view } = await import("../page/viewer.js");
const { clock, place } = await import("../page/language.js");
const dialog = byId.viewer, body = byId["viewer-body"];

test("times are mm:ss, and h:mm:ss from an hour on", () => {
  assert.equal(place({ kind: "time", start_s: 9.9, end_s: 510 }), "00:09–08:30");
  assert.equal(clock(3725), "1:02:05");
});

test("a citation of a recording plays from where it is said, and stops when it is closed", async () => {
  answers["/api/v1/documents/t1"] = { id: "t1", title: "reunión", mime: "audio/mpeg", duration_s: 60 };
  await view({ document: { id: "t1", title: "reunión" }, location: { kind: "time", start_s: 25.5, end_s: 28 }, text: "Del molino." });
  const [player, passage] = body.children;
  assert.equal(player.name, "audio");
  assert.equal(player.src, "/api/v1/documents/t1/content#t=25.5");
  assert.ok(player.autoplay && player.controls);
  assert.deepEqual(passage.children, ["Del molino."]);
  assert.equal(byId["viewer-place"].textContent, "00:25–00:28");
  assert.equal(byId["viewer-original"].href, "/api/v1/documents/t1/content#t=25.5");
  dialog.close();
  assert.equal(body.children.length, 0);
});

test("a film is shown; its passages say when and are played from there", async () => {
  const location = { kind: "time", start_s: 3, end_s: 7 };
  answers["/api/v1/documents/v1"] = { id: "v1", title: "boda", mime: "video/mp4", duration_s: 60 };
  answers["/api/v1/documents/v1/chunks?cursor=0&limit=100"] = { chunks: [{ id: "v1.0", text: "Sí, quiero.", location }], next: null };
  await view({ document: { id: "v1", title: "boda", duration_s: 60 }, location: null });
  const [player, passage] = body.children;
  assert.equal(player.name, "video");
  assert.equal(player.src, "/api/v1/documents/v1/content");
  assert.ok(!player.autoplay);
  const [button, text] = passage.children;
  assert.equal(text, "Sí, quiero.");
  assert.deepEqual(button.children, ["00:03–00:07"]);
  player.play = async () => (player.played = true);
  button.onclick();
  assert.ok(player.played && player.currentTime === 3);
  player.listeners.error();
  assert.equal(player.replacement.className, "notice");
});

test("a scanned page says which engine read it, another page its own", async () => {
  answers["/api/v1/documents/s1"] = { id: "s1", title: "escaneo", pages: 2, read_by: [
    { engine: "rapidocr 3.10.0", confidence: 0.95, pages: [{ page: 1, confidence: 0.99 }] }, { engine: "tesseract 5", confidence: 0.5, pages: [{ page: 2, confidence: 0.5 }] }] };
  await view({ document: { id: "s1", title: "escaneo" }, location: { kind: "page", page: 1, boxes: [] } });
  assert.equal(byId["viewer-place"].textContent, "Página 1 de 2 · leído por RapidOCR, 99 %");
  document.activeElement = byId["viewer-next"];
  byId["viewer-next"].listeners.click();
  assert.equal(document.activeElement, body, "the keys go on turning pages when the button is disabled");
  assert.equal(byId["viewer-place"].textContent, "Página 2 de 2 · leído por Tesseract, 50 %: conviene comprobarlo");
});

test("of a text the characters are marked that say what is cited, and all where they are not known", async () => {
  const chars = (start, end) => ({ kind: "chars", start, end });
  answers["/api/v1/documents/m1"] = { id: "m1", title: "nota" };
  answers["/api/v1/documents/m1/chunks?cursor=0&limit=5"] = { chunks: [{ id: "m1.0", text: "🏠 Uno. Dos. Tres.", location: chars(40, 57) }], next: null };
  const show = async (location) => {
    await view({ document: { id: "m1", title: "nota" }, chunk_id: "m1.0", text: "🏠 Uno. Dos. Tres.", location });
    return body.children[0];
  };
  const passage = await show(chars(47, 51));
  const [before, marked, after] = passage.children;
  assert.deepEqual([passage.name, before, marked.name, marked.children, after], ["p", "🏠 Uno. ", "mark", ["Dos."], " Tres."]);
  for (const location of [chars(40, 57), chars(3, 9), null]) {
    const whole = await show(location);
    assert.deepEqual([whole.name, whole.children], ["mark", ["🏠 Uno. Dos. Tres."]]);
  }
});
