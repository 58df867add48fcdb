// The dialog that shows a passage where it stands: on its page, in its recording, or among the text around it.
import { documentPath, get } from "./api.js";
import { place, recognised, t } from "./language.js";
import { make } from "./nodes.js";

const $ = (id) => document.getElementById(id);
const dialog = $("viewer"), body = $("viewer-body");

let shown = null; // {document, location, text, page, pages, readBy}

$("viewer-close").addEventListener("click", () => dialog.close());
$("viewer-previous").addEventListener("click", () => turn(-1));
$("viewer-next").addEventListener("click", () => turn(+1));
dialog.addEventListener("click", (e) => e.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  shown = null;
  body.replaceChildren(); // which also ends what plays
});
dialog.addEventListener("keydown", (e) => {
  if (!shown?.page || e.altKey || e.ctrlKey || e.metaKey) return;
  if (e.key === "ArrowLeft") turn(-1);
  if (e.key === "ArrowRight") turn(+1);
});

/** Shows a citation or a found passage; without a location, the document from its beginning. */
export async function view(source) {
  const mine = (shown = { ...source, page: source.location?.page ?? 0, pages: source.pages ?? 0 });
  $("viewer-title").textContent = source.document.title;
  $("viewer-place").textContent = where(source.location);
  $("viewer-turn").hidden = !mine.page;
  const fragment = mine.page ? `#page=${mine.page}` : startOf(source.location);
  $("viewer-original").href = documentPath(source.document.id, "/content") + fragment;
  body.replaceChildren();
  if (!dialog.open) dialog.showModal();
  body.focus(); // so that arrows scroll, and turn pages
  if (source.location?.kind === "time" || source.document.duration_s) return showRecording(mine);
  if (!mine.page) return showText(mine);
  showPage();
  const d = await get(documentPath(source.document.id)).catch(() => null);
  if (!d || shown !== mine) return;
  mine.pages = d.pages ?? mine.pages;
  mine.readBy = d.read_by;
  label();
}

/** Says where a passage stands, and how it was recognised. */
function where(location) {
  if (!location) return "";
  return [place(location), recognised(location.recognition, location.kind === "time")].filter(Boolean).join(" · ");
}

function turn(step) {
  const page = shown.page + step;
  if (page < 1 || (shown.pages && page > shown.pages)) return;
  shown.page = page;
  showPage();
}

function label() {
  const { page, pages, readBy = [] } = shown;
  const reading = readBy.flatMap((r) => r.pages.map((p) => ({ engine: r.engine, ...p }))).find((p) => p.page === page);
  const number = pages ? t("pageOf", { n: page, of: pages }) : place({ kind: "page", page });
  $("viewer-place").textContent = [number, recognised(reading)].filter(Boolean).join(" · ");
  $("viewer-previous").disabled = page <= 1;
  $("viewer-next").disabled = pages > 0 && page >= pages;
  if (document.activeElement?.disabled) body.focus(); // a button that is disabled takes the keys with it
}

function showPage() {
  const { page, location, text } = shown;
  label();
  const sheet = make("div", { className: "sheet" });
  const image = make("img", { alt: place({ kind: "page", page }), src: documentPath(shown.document.id, `/pages/${page}.png`) });
  const boxes = ((location?.page === page && location.boxes) || []).toSorted((a, b) => a[1] - b[1]); // the first is scrolled to
  for (const [x0, y0, x1, y1] of boxes) {
    const box = make("div", { className: "box" });
    const percent = (v) => `${v * 100}%`;
    Object.assign(box.style, { left: percent(x0), top: percent(y0), width: percent(x1 - x0), height: percent(y1 - y0) });
    sheet.append(box);
  }
  image.addEventListener("load", () => {
    sheet.classList.add("loaded");
    sheet.querySelector(".box")?.scrollIntoView({ block: "center" });
  });
  image.addEventListener("error", () => sheet.replaceWith(make("p", { className: "notice" }, t("noImage")), quotation(page === location?.page ? text : "")));
  sheet.prepend(image);
  body.replaceChildren(sheet);
  body.scrollTop = 0;
}

/** Returns the fragment that makes a player begin where a passage is said. */
const startOf = (location) => (location?.kind === "time" ? `#t=${location.start_s}` : "");

/** Shows what a recording says, and plays it from the passage on. */
async function showRecording(mine) {
  const d = await get(documentPath(mine.document.id)).catch(() => mine.document);
  if (shown !== mine) return;
  const media = make(d.mime?.startsWith("video/") ? "video" : "audio", {
    className: "player", controls: true, preload: "metadata", autoplay: Boolean(mine.location),
    src: documentPath(d.id, "/content") + startOf(mine.location),
  });
  if (!mine.location && d.read_by?.length) $("viewer-place").textContent = recognised(d.read_by[0], true);
  media.setAttribute("aria-label", d.title);
  media.addEventListener("error", () => media.replaceWith(make("p", { className: "notice" }, t("noPlayer"))));
  body.append(media);
  await showText(mine);
}

/** Returns a button that plays a recording from where a chunk begins. */
function playFrom(location) {
  const play = () => {
    const media = body.querySelector(".player");
    if (!media) return;
    media.currentTime = location.start_s;
    media.play().catch(() => {}); // the player says itself what it cannot play
  };
  return make("button", { type: "button", className: "time", onclick: play }, place(location));
}

const quotation = (text) => make("blockquote", { className: "passage" }, text ?? "");

/** Shows the chunks around the passage, of the whole document a hundred at a time. */
async function showText(mine, from = Math.max(0, number(mine) - 2)) {
  if (mine.text && !mine.chunk_id) return body.append(quotation(mine.text));
  const limit = mine.chunk_id ? 5 : 100;
  const { chunks, next } = await get(documentPath(mine.document.id, `/chunks?cursor=${from}&limit=${limit}`))
    .catch((err) => (note(err.message), { chunks: [] }));
  if (shown !== mine) return;
  chunks.forEach((c, i) => {
    const button = c.location.kind === "time" && playFrom(c.location);
    if (c.id === mine.chunk_id) return body.append(cited(c, mine.location, button));
    const text = unrepeated(c, chunks[i - 1], chunks[i + 1]?.id === mine.chunk_id ? chunks[i + 1] : null);
    if (text) body.append(make("p", { className: "chunk" }, button, text));
  });
  body.querySelector("mark")?.scrollIntoView({ block: "center" });
  if (!body.querySelector(".chunk, .notice")) note(mine.document.error?.message ?? t("noText"));
  if (next && !mine.chunk_id) {
    const button = make("button", { type: "button", onclick: () => (button.remove(), showText(mine, Number(next))) }, t("more"));
    body.append(button);
  }
}

/** Returns a cited chunk with what is cited of it marked: the characters of location, or all where they are not known. */
function cited(chunk, location, button) {
  const characters = [...chunk.text]; // code points, as the locations count
  const [start, end] = location?.kind === "chars" ? [location.start, location.end].map((at) => at - chunk.location.start) : [0, 0];
  if (start < 0 || start >= end || end - start >= characters.length) return make("mark", { className: "chunk" }, button, chunk.text);
  const text = (from, to) => characters.slice(from, to).join("");
  return make("p", { className: "chunk" }, text(0, start), make("mark", {}, text(start, end)), text(end));
}

const note = (text) => body.append(make("p", { className: "notice" }, text));

const number = (source) => Number(source.chunk_id?.split(".").at(-1) ?? 0);

/** Returns the text of a chunk without what the one before repeats of it, and without what is in the marked one after it. */
function unrepeated(chunk, before, marked) {
  const { kind, start } = chunk.location;
  if (kind !== "chars") return chunk.text;
  const to = marked ? marked.location.start - start : undefined;
  return [...chunk.text].slice(Math.max(0, (before?.location.end ?? 0) - start), to).join("").trim();
}
