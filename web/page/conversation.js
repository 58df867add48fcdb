// Questions and their streamed, cited answers.
import { ask } from "./api.js";
import { excerpt, render } from "./answer.js";
import { events } from "./sse.js";
import { place, recognised, t } from "./language.js";
import { make, prose } from "./nodes.js";
import { view } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const pane = $("conversation"), question = $("question"), welcome = $("welcome");

let chat = crypto.randomUUID();
let running = null; // the AbortController of the answer being written

export function start() {
  $("ask").addEventListener("submit", (e) => {
    e.preventDefault();
    send();
  });
  question.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    send();
  });
  question.addEventListener("input", grow);
  $("stop").addEventListener("click", () => running?.abort());
  $("new-chat").addEventListener("click", () => {
    running?.abort();
    chat = crypto.randomUUID();
    $("turns").replaceChildren(welcome);
    $("new-chat").hidden = true;
    question.focus();
  });
}

/** Offers collections to ask in. */
export function offer(collections) {
  const select = $("ask-collection"), chosen = select.value;
  select.replaceChildren(new Option(t("everything"), ""), ...collections.map((c) => new Option(c, c)));
  select.value = collections.includes(chosen) ? chosen : "";
  select.parentElement.hidden = collections.length === 0;
}

function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

async function send() {
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  grow();
  welcome.remove();
  $("new-chat").hidden = false;
  const turn = new Turn(text);
  running = new AbortController();
  toggle(true);
  try {
    const body = { question: text, chat_id: chat, collection: $("ask-collection").value || null };
    for await (const [event, data] of events(await ask(body, running.signal))) turn.take(event, data);
    turn.end();
  } catch (err) {
    if (err.name === "AbortError") turn.stop();
    else turn.fail(err.message);
  } finally {
    running = null;
    toggle(false);
  }
}

function toggle(busy) {
  $("send").hidden = busy;
  $("stop").hidden = !busy;
  if (document.activeElement === document.body) question.focus();
}

/** A question and what came of it. */
class Turn {
  text = "";
  sources = []; // number n is sources[n - 1]
  ended = false;

  constructor(asked) {
    this.status = make("p", { className: "status" }, t("searching"));
    this.body = make("div", { className: "answer" });
    this.body.setAttribute("aria-live", "polite");
    this.body.setAttribute("aria-busy", "true");
    this.foot = make("div");
    this.root = make("article", {}, make("h2", {}, asked), this.status, this.body, this.foot);
    $("turns").append(this.root);
    this.root.scrollIntoView({ block: "start" });
  }

  take(event, data) {
    switch (event) {
      case "sources":
        this.sources = data.sources.map((s, i) => ({ ...s, n: i + 1 }));
        this.status.textContent = this.sources.length ? t("reading", { n: this.sources.length }) : "";
        break;
      case "token":
        this.text += data.text;
        this.status.textContent = t("writing");
        this.draw();
        break;
      case "done":
        this.finish(data);
        break;
      case "error":
        if (data.answer) this.finish(data.answer);
        this.fail(data.detail || t("brokenOff"));
    }
  }

  /** Draws the text, at most once a frame. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const low = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 80;
      this.body.replaceChildren(render(this.text, (n) => this.mark(n)));
      // The text may push the page up until its question is at the top; then the reader scrolls.
      if (low) pane.scrollTop = Math.min(pane.scrollHeight, this.root.offsetTop - 24);
    });
  }

  mark(n) {
    const source = this.cited ? this.cited.find((c) => c.n === n) : this.sources[n - 1];
    if (!source) return null;
    const button = make("button", { type: "button", className: "mark", onclick: () => view(source) }, String(n));
    button.setAttribute("aria-label", t("openSource", { n, title: source.document.title }));
    return button;
  }

  finish(answer) {
    this.ended = true;
    this.text = answer.answer;
    // A citation does not name its chunk, the passage it came from does.
    this.cited = answer.citations.map((c) => ({ ...c, chunk_id: this.sources.find((s) => s.document.id === c.document.id && s.text === c.text)?.chunk_id }));
    this.draw();
    this.body.setAttribute("aria-busy", "false");
    this.status.textContent = answer.mode === "extractive" && !answer.abstained ? t("extractive") : "";
    this.body.classList.toggle("abstained", answer.abstained);
    for (const w of answer.warnings) this.foot.append(make("p", { className: "notice" }, ...prose(w)));
    if (this.cited.length) {
      this.foot.append(make("h3", {}, t("sources")), make("ol", { className: "sources" }, ...this.cited.map((c) => card(c, this.text))));
    }
  }

  stop() {
    this.ended = true;
    this.body.setAttribute("aria-busy", "false");
    this.status.textContent = t("stopped");
  }

  fail(message) {
    this.ended = true;
    this.body.setAttribute("aria-busy", "false");
    this.status.textContent = "";
    const note = make("p", { className: "notice error" }, ...prose(message));
    note.setAttribute("role", "alert");
    this.foot.append(note);
  }

  end() {
    if (!this.ended) this.fail(t("brokenOff"));
  }
}

/** A source of an answer. */
function card(c, answer) {
  const how = recognised(c.location.recognition, c.location.kind === "time");
  return make("li", {}, make("button", { type: "button", onclick: () => view(c) },
    make("span", { className: "number" }, String(c.n)),
    make("span", { className: "title" }, c.document.title),
    make("span", { className: "place" }, place(c.location)),
    make("span", { className: "passage" }, excerpt(c.text, answer)),
    how && make("span", { className: "recognised" }, how)));
}
