import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.localStorage = { getItem: () => "es" };
const { pending, recognised, stage } = await import("../page/language.js");

test("a stage says how far it has come", () => {
  assert.equal(stage({ stage: "ocr", progress: { done: 12, total: 40, unit: "page" } }), "OCR 12/40");
  assert.equal(stage({ stage: "speech", progress: { done: 510, total: 2520, unit: "s" } }), "transcribiendo 08:30/42:00");
  assert.equal(stage({ stage: "indexing", progress: null }), "indexando");
  assert.equal(stage({ stage: null, progress: null }), "");
});

test("the time left is said where it is known, and not while the work waits", () => {
  assert.equal(pending({ left_s: 121, waits: null }), "quedan unos 3 min");
  assert.equal(pending({ left_s: 7400, waits: null }), "quedan unos 2 h 4 min");
  assert.equal(pending({ left_s: 59, waits: null }), "queda menos de 1 min");
  assert.equal(pending({ left_s: null, waits: null }), "");
  assert.equal(pending({ left_s: null, waits: "turn" }), "espera su turno");
  assert.equal(pending(null), "");
});

test("an engine is named, and a doubt said", () => {
  const by = (engine, confidence, heard) => recognised({ engine, confidence }, heard);
  assert.equal(by("rapidocr 3.10.0 PP-OCRv6", 0.926), "leído por RapidOCR, 93 %");
  assert.equal(by("tesseract 5.3.0", 0.41), "leído por Tesseract, 41 %: conviene comprobarlo");
  assert.equal(by("faster-whisper 1.2.1 whisper-base", 0.55, true), "oído por Whisper, 55 %");
  assert.equal(by("another 1", 0), "sin texto para another");
  assert.equal(recognised(undefined), "");
});
