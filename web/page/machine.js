// The dialog that shows the machine: which model computes where, and who has the memory.
import { get } from "./api.js";
import { engineName, t, word } from "./language.js";
import { make, prose } from "./nodes.js";

const $ = (id) => document.getElementById(id);
const dialog = $("machine"), body = $("machine-body");
const roles = ["chat", "embedding", "reranking", "transcription", "ocr", "captions"];

let plan = null, state = null; // as the server told them last

export function start() {
  $("machine-open").addEventListener("click", open);
  $("machine-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (e) => e.target === dialog && dialog.close());
}

/** Takes the events of a stream that concern the machine. */
export function follow(changes) {
  changes.addEventListener("plan", (e) => draw((plan = JSON.parse(e.data))));
  changes.addEventListener("hardware", (e) => draw((state = JSON.parse(e.data))));
}

async function open() {
  body.replaceChildren(make("p", { className: "notice" }, t("looking")));
  dialog.showModal();
  body.focus();
  try {
    [plan, state] = await Promise.all([get("/api/v1/plan"), get("/api/v1/hardware")]);
    draw();
  } catch (err) {
    body.replaceChildren(make("p", { className: "notice error" }, ...prose(err.message)));
  }
}

function draw() {
  if (!dialog.open || !plan || !state) return;
  const unfolded = body.querySelector("details")?.open;
  const { advice, usage } = state;
  body.replaceChildren(...[
    make("p", { className: "large" }, headline()),
    advice.level > 0 && make("p", { className: "notice" }, t(advice.pause ? "resting" : "slowly")),
    ...[...usage.gpu.waiters, ...usage.ram.waiters].map((w) => make("p", { className: "notice" }, t("waitsForMemory", { role: word("role_", w.role) }))),
    plan.gpu.total_bytes > 0 && memory(t("vram"), plan.gpu.total_bytes, cardParts()),
    ...state.hardware.gpus.map((g) => make("p", { className: "notice" }, card(g))),
    memory(t("ram"), state.hardware.ram.total_bytes, ramParts()),
    table(),
    details(unfolded),
  ].filter(Boolean));
}

/** The plan in a sentence. */
function headline() {
  const chat = plan.roles.chat;
  if (!chat) return t("noModel");
  const said = t(`mode_${plan.mode}`, { model: chat.model, on: chat.offloaded ?? 0, of: chat.layers ?? 0 });
  return plan.fits ? said : `${said} ${t("noRoom")}`;
}

function cardParts() {
  const { total_bytes: total, free_bytes: free, margin_bytes: margin } = plan.gpu;
  return [
    [t("others"), total - free, "others"],
    [word("role_", "embedding"), plan.roles.embedding?.vram_bytes ?? 0, "embedding"],
    [word("role_", "chat"), plan.roles.chat?.vram_bytes ?? 0, "chat"],
    [t("margin"), margin, "margin"],
  ];
}

function ramParts() {
  const { total_bytes: total, free_bytes: free } = state.hardware.ram, lent = state.usage.ram.lent_bytes;
  return [[t("others"), Math.max(0, total - free - lent), "others"], [t("models"), lent, "chat"]];
}

/** A graphics card's state now. */
const card = (g) => [g.name, g.temperature_c && `${g.temperature_c} °C`, t("busy", { percent: g.utilization_percent })].filter(Boolean).join(" · ");

const size = (bytes) => `${(bytes / 2 ** 30).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} GiB`;

/** A bar of a device's memory, and what its parts are: [name, bytes, class]. */
function memory(name, total, parts) {
  const bar = make("div", { className: "memory" });
  bar.setAttribute("aria-hidden", "true");
  const shown = parts.filter(([, bytes]) => bytes > 0);
  for (const [, bytes, kind] of shown) {
    const part = make("span", { className: kind });
    part.style.width = `${(100 * bytes) / total}%`;
    bar.append(part);
  }
  const legend = make("ul", { className: "legend" }, ...shown.map(([what, bytes, kind]) => make("li", { className: kind }, `${what} ${size(bytes)}`)));
  return make("section", {}, make("h3", {}, `${name} ${size(total)}`), bar, legend);
}

function table() {
  const rows = roles.flatMap((role) => {
    const p = plan.roles[role] ?? plan.lent[role];
    if (!p) return [];
    const where = p.device === "hybrid" ? t("layers", { on: p.offloaded, of: p.layers }) : word("device_", p.device);
    const speed = p.tokens_per_s ? t("speed", { low: Math.round(p.tokens_per_s.low), high: Math.round(p.tokens_per_s.high) }) : "";
    return [make("tr", {},
      make("th", { scope: "row" }, word("role_", role)),
      make("td", {}, p.engine === "ollama" ? p.model : `${engineName(p.engine)} ${p.model}`),
      make("td", {}, plan.lent[role] ? `${where}, ${t("inTurns")}` : where),
      make("td", {}, size(p.vram_bytes + p.ram_bytes)),
      make("td", {}, speed))];
  });
  return rows.length > 0 && make("div", { className: "scroll" }, make("table", {}, make("tbody", {}, ...rows)));
}

/** The plan's own reasoning, which is in English. */
function details(unfolded) {
  const lines = (all) => make("ul", {}, ...all.map((line) => make("li", {}, line)));
  const notes = state.hardware.notes.filter((note) => !plan.why.some((line) => line.includes(note)));
  const found = [...plan.warnings, ...notes, ...state.notices.map((n) => n.text), ...plan.why];
  if (!found.length) return null;
  const all = make("details", { open: Boolean(unfolded) }, make("summary", {}, t("why")), lines(found));
  all.lang = "en";
  all.firstChild.lang = document.documentElement.lang;
  return all;
}
