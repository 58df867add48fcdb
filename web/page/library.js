// The documents: their state, live; adding, removing, trying again.
import { change, documentPath, get, upload } from "./api.js";
import { clock, language, pending, stage, t } from "./language.js";
import { make, prose } from "./nodes.js";
import * as machine from "./machine.js";
import { view } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const list = $("documents"), pageSize = 100;
const rows = new Map(); // document id -> its <li>

let folder = ""; // of the documents, on the server's machine
let next = null; // cursor of the next page
let asked = 0; // the last listing asked for: an older answer is dropped
let changes = null; // the EventSource of what happens
let offer = () => {};

/** Fills the panel and keeps it up to date. collectionsChanged is told the names of the collections. */
export function start(collectionsChanged) {
  offer = collectionsChanged;
  $("filter").addEventListener("input", soon(refresh, 200));
  $("filter-collection").addEventListener("change", refresh);
  $("filter-status").addEventListener("change", refresh);
  $("more").addEventListener("click", () => load(next));
  $("add").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", async () => {
    await send([...$("files").files]);
    $("files").value = "";
  });
  acceptDrops();
  refresh();
  follow();
  // A browser keeps few connections to a server: a page that is left must give its own back.
  addEventListener("pagehide", () => changes.close());
}

/** Fetches the list anew. */
export async function refresh() {
  const status = $("filter-status").value;
  const states = ["queued", "working", "ready", "partial", "failed"];
  $("filter-status").replaceChildren(new Option(t("anyStatus"), ""), ...states.map((s) => new Option(t(s), s)));
  $("filter-status").value = status;
  await Promise.all([load(null), collections()]);
  showEmptiness();
}

async function collections() {
  const found = await get("/api/v1/collections").catch(() => null);
  if (!found) return;
  folder = found.folder;
  const names = found.collections.map((c) => c.name).filter(Boolean);
  const chosen = $("filter-collection").value;
  $("filter-collection").replaceChildren(new Option(t("anyCollection"), ""), ...names.map((n) => new Option(n, n)));
  $("filter-collection").value = names.includes(chosen) ? chosen : "";
  $("filter-collection").hidden = names.length === 0;
  $("count").textContent = found.collections.reduce((n, c) => n + c.documents, 0) || "";
  offer(names);
}

async function load(cursor) {
  const mine = ++asked;
  const query = new URLSearchParams({ limit: pageSize });
  const filters = { q: $("filter").value.trim(), collection: $("filter-collection").value, status: $("filter-status").value, cursor };
  for (const [k, v] of Object.entries(filters)) if (v) query.set(k, v);
  let page;
  try {
    page = await get(`/api/v1/documents?${query}`);
  } catch (err) {
    return void say(err.message);
  }
  if (mine !== asked) return;
  if (!cursor) {
    rows.clear();
    list.replaceChildren();
  }
  for (const d of page.documents) put(d);
  next = page.next;
  $("more").hidden = !next;
  showEmptiness();
}

function showEmptiness() {
  const filtered = $("filter").value.trim() || $("filter-collection").value || $("filter-status").value;
  $("none").hidden = rows.size > 0;
  $("filters").hidden = !filtered && rows.size === 0;
  $("none").replaceChildren(...(filtered ? [make("p", {}, t("noneMatch"))]
    : [make("p", { className: "large" }, t("empty")), make("p", {}, t("emptyMore")),
      folder && make("p", {}, t("folder"), " ", make("code", {}, folder))].filter(Boolean)));
}

/** Listens to changes, in the language of the page. The server cuts off a page that lags; the browser comes back, and the list is fetched anew. */
export function follow() {
  changes?.close();
  changes = new EventSource(`/api/v1/events?lang=${language()}`);
  machine.follow(changes);
  const relist = soon(refresh, 400), recount = soon(collections, 400);
  let lost = false;
  changes.addEventListener("open", () => {
    if (lost) refresh();
    lost = false;
    $("offline").hidden = true;
  });
  changes.addEventListener("error", () => {
    lost = true;
    $("offline").hidden = false;
  });
  changes.addEventListener("document", (e) => {
    const d = JSON.parse(e.data);
    if (d.status === "removed") drop(d.id);
    else if (rows.has(d.id)) put(d);
    else relist();
    recount();
  });
}

/** Calls f once, when the calls have stopped for a while. */
function soon(f, ms) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(f, ms);
  };
}

function drop(id) {
  rows.get(id)?.remove();
  rows.delete(id);
  showEmptiness();
}

/** Shows a document, in its old row if it has one. */
function put(d) {
  const row = line(d), old = rows.get(d.id);
  if (!old) {
    list.append(row);
  } else {
    const focused = old.contains(document.activeElement) && document.activeElement.dataset.act;
    old.replaceWith(row);
    if (focused) row.querySelector(`[data-act="${focused}"]`)?.focus();
  }
  rows.set(d.id, row);
}

function line(d) {
  const open = () => view({ document: d, pages: d.pages, location: d.pages ? { kind: "page", page: 1, boxes: [] } : null });
  const title = make("button", { type: "button", className: "title", onclick: open }, d.title);
  title.setAttribute("aria-label", t("read", { title: d.title }));
  title.dataset.act = "read";
  const row = make("li", { className: d.status }, title,
    action("remove", "×", t("remove", { title: d.title }), () => remove(d)),
    make("span", { className: "facts" }, facts(d)),
    progress(d),
    d.error && make("span", { className: "reason" }, ...prose(d.error.message.replaceAll("`acervo retry`", t("retryNamed")))),
    d.pages_failed.length > 0 && !d.error?.pages.length && make("span", { className: "reason" }, t("pagesFailed", { list: d.pages_failed.join(", ") })),
    ...(d.status !== "ready" ? [] : d.warnings.map((w) => make("span", { className: "hint" }, ...prose(w)))),
    ["failed", "partial"].includes(d.status) && action("retry", t("retry"), "", () => change("POST", documentPath(d.id, "/retry"))));
  row.title = d.paths.join("\n");
  return row;
}

function action(name, text, label, act) {
  const button = make("button", { type: "button", className: name }, text);
  if (label) button.setAttribute("aria-label", label);
  button.dataset.act = name;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await act();
    } catch (err) {
      say(err.message);
    }
    button.disabled = false;
  });
  return button;
}

/** Says in one line where a document stands. */
function facts(d) {
  const known = [["ready", "working"].includes(d.status) ? null : t(d.status)];
  if (d.collection) known.push(d.collection);
  if (d.duration_s) known.push(clock(d.duration_s));
  if (d.pages) known.push(d.pages === 1 ? t("onePage") : t("pages", { n: d.pages }));
  else if (d.chunks) known.push(d.chunks === 1 ? t("onePassage") : t("passages", { n: d.chunks }));
  if (d.embedded > 0 && d.embedded < d.chunks) known.push(t("embedding", { done: d.embedded, total: d.chunks }));
  return known.filter(Boolean).join(" · ");
}

function progress(d) {
  if (d.status !== "working") return null;
  const { done = 0, total = 0 } = d.progress ?? {};
  const bar = make("progress", total ? { value: done, max: total } : {});
  const text = [stage(d), pending(d.progress)].filter(Boolean).join(" · ");
  bar.setAttribute("aria-label", text || t("working"));
  return make("span", { className: "progress" }, bar, make("span", {}, text));
}

async function remove(d) {
  await change("DELETE", documentPath(d.id));
  drop(d.id);
  const note = say(t("removed", { title: d.title }), {
    text: t("undo"),
    act: async () => {
      await change("POST", documentPath(d.id, "/restore"));
      await refresh();
      note.remove();
    },
  });
}

/** Shows a note, which stays for ten seconds and longer while it is pointed at or holds the focus. */
function say(text, offered) {
  const note = make("div", { className: "note" }, make("span", {}, text));
  if (offered) note.append(action("undo", offered.text, "", offered.act));
  const close = make("button", { type: "button", className: "quiet", onclick: () => note.remove() }, "×");
  close.setAttribute("aria-label", t("dismiss"));
  note.append(close);
  $("notes").append(note);
  const fade = () => setTimeout(() => note.matches(":hover, :focus-within") ? fade() : note.remove(), 10_000);
  fade();
  return note;
}

async function send(files) {
  if (!files.length) return;
  const about = files.length === 1 ? ["uploadingOne", { name: files[0].name }] : ["uploading", { n: files.length }];
  const bar = make("progress", { max: 1, value: 0 });
  const text = make("span", {}, t(about[0], { ...about[1], percent: 0 }));
  const note = make("div", { className: "note" }, text, bar);
  $("notes").append(note);
  try {
    await upload(files, $("filter-collection").value, (part) => {
      bar.value = part;
      text.textContent = t(about[0], { ...about[1], percent: Math.floor(part * 100) });
    });
    say(t("uploaded"));
    refresh();
  } catch (err) {
    say(err.message);
  } finally {
    note.remove();
  }
}

/** Takes files that are dropped anywhere in the window. */
function acceptDrops() {
  const holdsFiles = (e) => [...(e.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragover", (e) => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    const collection = $("filter-collection").value;
    $("drop").firstElementChild.textContent = collection ? t("dropIn", { collection }) : t("drop");
    $("drop").hidden = false;
  });
  addEventListener("dragleave", (e) => {
    if (!e.relatedTarget) $("drop").hidden = true;
  });
  addEventListener("drop", (e) => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    $("drop").hidden = true;
    send([...e.dataTransfer.files]);
  });
}
