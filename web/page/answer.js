// An answer's text: light Markdown and [n] marks. What a model wrote is never
// taken as HTML: it is parsed into plain data, and from that nodes are built
// that hold text only.

/** Returns the blocks of a text: {type: "p"|"h"|"quote"|"code"|"ul"|"ol", …}. */
export function parse(text) {
  const blocks = [];
  let open = null; // the paragraph, list or code that goes on
  for (const line of text.split("\n")) {
    if (open?.type === "code") {
      if (/^\s*```/.test(line)) open = null;
      else open.text += (open.text && "\n") + line;
      continue;
    }
    const item = line.match(/^\s*(?:([-*•])|(\d{1,3})[.)])\s+(.*)$/);
    const head = line.match(/^#{1,6}\s+(.*)$/);
    const quote = line.match(/^>\s?(.*)$/);
    if (/^\s*```/.test(line)) {
      blocks.push((open = { type: "code", text: "" }));
    } else if (!line.trim()) {
      if (open?.type !== "ul" && open?.type !== "ol") open = null;
      else open.loose = true;
    } else if (head) {
      blocks.push({ type: "h", inline: inline(head[1]) });
      open = null;
    } else if (item) {
      const type = item[1] ? "ul" : "ol";
      if (open?.type !== type) blocks.push((open = { type, items: [], start: Number(item[2] ?? 1) }));
      open.items.push(item[3]);
      open.loose = false;
    } else if (open?.items && !open.loose && !quote) {
      open.items[open.items.length - 1] += " " + line.trim();
    } else {
      const type = quote ? "quote" : "p";
      if (open?.type !== type) blocks.push((open = { type, text: "" }));
      open.text += (open.text && "\n") + (quote ? quote[1] : line);
    }
  }
  for (const b of blocks) {
    if (b.items) b.items = b.items.map(inline);
    if (b.type === "p" || b.type === "quote") b.inline = inline(b.text);
    delete b.loose;
  }
  return blocks;
}

/** Returns the pieces of a line: {type: "text"|"code", text}, {type: "strong"|"em", pieces} and {type: "cite", n}. */
export function inline(text) {
  const pieces = [];
  const marks = /\*\*(?=\S)([^*]+)\*\*|(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])|`([^`\n]+)`|\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g;
  let end = 0;
  const plain = (to) => to > end && pieces.push({ type: "text", text: text.slice(end, to) });
  for (const m of text.matchAll(marks)) {
    plain(m.index);
    if (m[1] !== undefined) pieces.push({ type: "strong", pieces: inline(m[1]) });
    else if (m[2] !== undefined) pieces.push({ type: "em", pieces: inline(m[2]) });
    else if (m[3] !== undefined) pieces.push({ type: "code", text: m[3] });
    else for (const n of m[4].split(",")) pieces.push({ type: "cite", n: Number(n) });
    end = m.index + m[0].length;
  }
  plain(text.length);
  return pieces;
}

/** Returns a passage from the sentence on that has most words in common with an answer: a card shows only its beginning. */
export function excerpt(passage, answer) {
  const words = (text) => new Set(text.normalize("NFD").toLowerCase().match(/[\p{L}\p{M}\p{N}]{4,}/gu) ?? []);
  const said = words(answer);
  // A sentence ends before a capital, and not after one, which is of an abbreviation; a paragraph ends it too.
  const ends = passage.matchAll(/(?<=[\p{Ll}\p{N})»"][.!?])\s+(?=[\p{Lu}¿¡«"(|])|\n\s*\n/gu);
  let best = 0, most = 0, start = 0;
  for (const end of [...ends, { index: passage.length, 0: "" }]) {
    const shared = [...words(passage.slice(start, end.index))].filter((w) => said.has(w)).length;
    if (shared > most) [best, most] = [start, shared];
    start = end.index + end[0].length;
  }
  return best > 0 ? `… ${passage.slice(best)}` : passage;
}

/** Builds the nodes of a text. cite(n) returns the node for a mark, or null where there is no such source. */
export function render(text, cite) {
  const whole = document.createDocumentFragment();
  const element = (name, ...children) => {
    const e = document.createElement(name);
    e.append(...children);
    return e;
  };
  const nodes = (pieces) => pieces.map((p) => {
    if (p.type === "cite") return cite(p.n) ?? `[${p.n}]`;
    if (p.pieces) return element(p.type, ...nodes(p.pieces));
    return p.type === "code" ? element("code", p.text) : p.text;
  });
  for (const b of parse(text)) {
    if (b.items) {
      const list = element(b.type, ...b.items.map((i) => element("li", ...nodes(i))));
      if (b.type === "ol") list.start = b.start;
      whole.append(list);
    } else if (b.type === "code") {
      whole.append(element("pre", element("code", b.text)));
    } else {
      const name = { p: "p", h: "h3", quote: "blockquote" }[b.type];
      whole.append(element(name, ...nodes(b.inline)));
    }
  }
  return whole;
}
