// Calls of the server's API. A problem it answers with is thrown, with its detail as message.
import { language, t } from "./language.js";

export class Problem extends Error {
  constructor(body, status) {
    super(body?.detail || body?.title || t("answered", { status }));
    Object.assign(this, { status, code: body?.code, answer: body?.answer });
  }
}

async function send(method, path, { body, signal, accept } = {}) {
  const headers = { "Accept-Language": language() };
  if (accept) headers.Accept = accept;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Error(t("unreachable"), { cause });
  }
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => null), response.status);
}

export async function get(path) {
  return (await send("GET", path)).json();
}

/** Sends a request whose answer is a document or nothing. */
export async function change(method, path) {
  const response = await send(method, path, method === "POST" ? { body: {} } : {});
  return response.status === 204 ? null : response.json();
}

/** Asks a question and returns the response whose body is the stream of events. */
export function ask(body, signal) {
  return send("POST", "/api/v1/query", { body: { ...body, stream: true }, signal, accept: "text/event-stream" });
}

/** Uploads files, telling how far it is (0 to 1). fetch cannot tell, so this is the older way. */
export function upload(files, collection, progress) {
  const form = new FormData();
  form.append("collection", collection); // before the files: the server writes them as they arrive
  for (const f of files) form.append("file", f);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/documents");
    request.responseType = "json";
    request.setRequestHeader("Accept-Language", language());
    request.upload.onprogress = (e) => e.lengthComputable && progress(e.loaded / e.total);
    request.onload = () => request.status < 300 ? resolve(request.response) : reject(new Problem(request.response, request.status));
    request.onerror = () => reject(new Error(t("unreachable")));
    request.send(form);
  });
}

export const documentPath = (id, rest = "") => `/api/v1/documents/${encodeURIComponent(id)}${rest}`;
