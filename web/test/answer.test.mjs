import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, inline, parse } from "../page/answer.js";

const text = (s) => ({ type: "text", text: s });

test("marks, bold, italic and code", () => {
  assert.deepEqual(inline("*Ñandú, S. L.* [1]"), [{ type: "em", pieces: [text("Ñandú, S. L.")] }, text(" "), { type: "cite", n: 1 }]);
  assert.deepEqual(inline("Dura **tres [1] años** [2, 10]: `a[3]`."), [
    text("Dura "), { type: "strong", pieces: [text("tres "), { type: "cite", n: 1 }, text(" años")] }, text(" "),
    { type: "cite", n: 2 }, { type: "cite", n: 10 }, text(": "), { type: "code", text: "a[3]" }, text("."),
  ]);
});

test("what is not complete, or no mark, stays text", () => {
  for (const s of ["**sin fin", "`x", "[a]", "[1", "2 ** 3 ** 4", "2 * 3 * 4", "a*b*c", "*x", "", "[12345]", "![x](http://y)", "<img src=x onerror=alert(1)>"]) {
    assert.equal(inline(s).map((p) => p.text).join(""), s);
    assert.ok(inline(s).every((p) => p.type === "text"), s);
  }
});

test("blocks", () => {
  const blocks = parse("# Uno\nHola\nmundo [1]\n\n- a\n- b\n  sigue\n\n- c\n\n2. x\n3. y\n> cita\n```js\n<b>\n\n- no\n```\nfin");
  assert.deepEqual(blocks.map((b) => b.type), ["h", "p", "ul", "ol", "quote", "code", "p"]);
  assert.deepEqual(blocks[1].inline, [text("Hola\nmundo "), { type: "cite", n: 1 }]);
  assert.deepEqual(blocks[2].items, [[text("a")], [text("b sigue")], [text("c")]]);
  assert.equal(blocks[3].start, 2);
  assert.equal(blocks[5].text, "<b>\n\n- no");
});

test("a long text takes no long time", () => {
  for (const s of ["*".repeat(100_000), "[1".repeat(50_000), "`".repeat(100_001), "**a".repeat(30_000), "- ".repeat(50_000)]) {
    const start = performance.now();
    parse(s);
    assert.ok(performance.now() - start < 1000, `${s.slice(0, 4)}… took ${performance.now() - start} ms`);
  }
});

test("a card begins where the passage says what the answer does", () => {
  const passage = "Expediente 417. Copia para el archivo.\nReunidos de una parte. La renta mensual es de 1.250,75 € más el I.V.A. vigente. Se paga por meses.";
  assert.equal(excerpt(passage, "La renta mensual es de **1.250,75 €**, vigente [1]."), "… La renta mensual es de 1.250,75 € más el I.V.A. vigente. Se paga por meses.");
  assert.equal(excerpt("Uno\n\nDos palabras", "palabras"), "… Dos palabras");
  assert.equal(excerpt(passage, "EXPEDIÉNTE 417 [1]"), passage);
  assert.equal(excerpt(passage, ""), passage);
  assert.equal(excerpt("", "nada"), "");
});
