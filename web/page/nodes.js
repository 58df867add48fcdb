/** Makes an element. Properties are set as they are, children are nodes or text, never HTML. */
export function make(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

/** Returns the nodes of a sentence of the server, which begins as a sentence does, with what stands between ` in it as code. */
export function prose(text) {
  const parts = (text.slice(0, 1).toUpperCase() + text.slice(1)).split("`");
  return parts.map((part, i) => (i % 2 && i < parts.length - 1 ? make("code", {}, part) : part));
}
