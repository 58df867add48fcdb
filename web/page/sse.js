// Server-sent events of a fetch response (EventSource cannot POST).

/** Returns a function that takes pieces of text and calls handle(event, data) for each complete event. */
export function parser(handle) {
  let rest = "", event = "message", data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length) handle(event, data.join("\n"));
      event = "message";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  };
  return (piece) => {
    rest += piece;
    // A \r at the end may be half of \r\n: it waits for what follows.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}

/** Reads the events of a response, with their data decoded from JSON, until it ends. */
export async function* events(response) {
  const found = [];
  const feed = parser((event, data) => found.push([event, JSON.parse(data)]));
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      feed(decoder.decode(value, { stream: true }));
      yield* found.splice(0);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
