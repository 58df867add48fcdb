/** Makes an element. Properties are set as they are, children are nodes or text, never HTML. */
export function make(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}
