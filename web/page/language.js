// The words of the page, in Spanish and English.

const words = {
  es: {
    ask: "Preguntar", stop: "Detener", newChat: "Conversación nueva", library: "Documentos", conversation: "Preguntas",
    question: "Pregunta", placeholder: "Pregunta a tus documentos…", in: "En", everything: "todos los documentos",
    welcome: "Pregunta a tus documentos.", welcomeMore: "Cada respuesta cita el pasaje de donde sale. Pulsa una cita para verlo en su página.",
    searching: "Buscando en los documentos…", reading: "Leyendo {n} pasajes…", writing: "Escribiendo…", sources: "Fuentes",
    extractive: "Citas literales: ningún modelo ha redactado esta respuesta.",
    stopped: "Detenida antes de terminar.", brokenOff: "La respuesta se interrumpió.", openSource: "Ver la fuente {n}: {title}",
    page: "página {n}", pageOf: "Página {n} de {of}", slide: "diapositiva {n}", characters: "caracteres {start}–{end}", time: "{start}–{end}",
    previous: "Página anterior", next: "Página siguiente", close: "Cerrar", original: "Abrir el original", more: "Mostrar más",
    noImage: "No se puede mostrar esta página como imagen.", noText: "Todavía no hay texto que mostrar.", noPlayer: "El navegador no puede reproducir esta grabación. Abre el original.",
    filter: "Filtrar documentos", collection: "Colección", anyCollection: "todas las colecciones", status: "Estado", anyStatus: "cualquier estado", add: "Añadir archivos",
    drop: "Suelta los archivos para añadirlos", dropIn: "Suelta los archivos para añadirlos a «{collection}»",
    empty: "Todavía no hay documentos.", emptyMore: "Copia archivos en la carpeta, suéltalos aquí o pulsa «Añadir archivos».", folder: "La carpeta es",
    noneMatch: "Ningún documento coincide.", remove: "Quitar {title}", removed: "«{title}» está en la papelera.", undo: "Deshacer", retry: "Reintentar", retryNamed: "«Reintentar»", read: "Leer {title}",
    uploading: "Añadiendo {n} archivos… {percent} %", uploadingOne: "Añadiendo «{name}»… {percent} %", uploaded: "Añadido. Se podrá encontrar en unos segundos.",
    queued: "en espera", working: "en curso", ready: "listo", partial: "incompleto", answered: "El servidor respondió {status}.", failed: "con error",
    unreachable: "No se puede contactar con el servidor. ¿Está en marcha?", offline: "Sin conexión con el servidor; se reintenta.",
    embedding: "vectores {done}/{total}", pages: "{n} páginas", onePage: "1 página", pagesFailed: "Páginas sin leer: {list}", passages: "{n} pasajes", onePassage: "1 pasaje",
    dismiss: "Descartar", switchTo: "EN", language: "Idioma: español. Cambiar a inglés", skip: "Ir a la pregunta",
    readBy: "leído por {engine}, {percent} %", heardBy: "oído por {engine}, {percent} %", doubtful: "{how}: conviene comprobarlo", nothingRead: "sin texto para {engine}",
    machine: "Equipo", looking: "Mirando el equipo…", why: "Por qué así (en inglés)", inTurns: "por turnos", layers: "tarjeta gráfica, {on} de {of} capas", speed: "{low}–{high} tokens/s",
    vram: "Memoria de la tarjeta gráfica", ram: "Memoria RAM", others: "otros programas", models: "modelos de Acervo", margin: "margen", busy: "ocupada al {percent} %",
    noModel: "No hay ningún modelo que redacte: las respuestas citan los pasajes.", noRoom: "No cabe en la memoria que hay.",
    mode_gpu: "{model} calcula entero en la tarjeta gráfica.", mode_hybrid: "{model} calcula en la tarjeta gráfica ({on} de {of} capas) y en el procesador.",
    mode_cpu: "{model} calcula en el procesador.", mode_auto: "{model} calcula donde decide Ollama.",
    device_gpu: "tarjeta gráfica", device_cpu: "procesador", device_npu: "NPU", device_auto: "donde decide Ollama",
    role_chat: "Respuestas", role_embedding: "Vectores", role_reranking: "Reordenación", role_transcription: "Grabaciones", role_ocr: "Escaneos", role_captions: "Imágenes",
    slowly: "El equipo está caliente o va con batería: los documentos se leen más despacio.", resting: "El equipo necesita descansar: la lectura de documentos está en pausa.",
    waitsForMemory: "{role}: espera a que se libere memoria.",
    stage_reading: "leyendo", stage_indexing: "indexando", stage_ocr: "OCR", stage_speech: "transcribiendo",
    left: "quedan unos {time}", leftSoon: "queda menos de 1 min", waits_turn: "espera su turno", waits_rest: "en pausa: el equipo descansa",
  },
  en: {
    ask: "Ask", stop: "Stop", newChat: "New conversation", library: "Documents", conversation: "Questions",
    question: "Question", placeholder: "Ask your documents…", in: "In", everything: "all documents",
    welcome: "Ask your documents.", welcomeMore: "Every answer cites the passage it comes from. Select a citation to see it on its page.",
    searching: "Searching the documents…", reading: "Reading {n} passages…", writing: "Writing…", sources: "Sources",
    extractive: "Quoted: no model wrote this answer.",
    stopped: "Stopped before the end.", brokenOff: "The answer broke off.", openSource: "Show source {n}: {title}",
    page: "page {n}", pageOf: "Page {n} of {of}", slide: "slide {n}", characters: "characters {start}–{end}", time: "{start}–{end}",
    previous: "Previous page", next: "Next page", close: "Close", original: "Open the original", more: "Show more",
    noImage: "This page cannot be shown as an image.", noText: "There is no text to show yet.", noPlayer: "The browser cannot play this recording. Open the original.",
    filter: "Filter documents", collection: "Collection", anyCollection: "all collections", status: "State", anyStatus: "any state", add: "Add files",
    drop: "Drop the files to add them", dropIn: "Drop the files to add them to “{collection}”",
    empty: "There are no documents yet.", emptyMore: "Copy files into the folder, drop them here, or select “Add files”.", folder: "The folder is",
    noneMatch: "No document matches.", remove: "Remove {title}", removed: "“{title}” is in the trash.", undo: "Undo", retry: "Retry", retryNamed: "“Retry”", read: "Read {title}",
    uploading: "Adding {n} files… {percent}%", uploadingOne: "Adding “{name}”… {percent}%", uploaded: "Added. It can be found in a few seconds.",
    queued: "waiting", working: "in progress", ready: "ready", partial: "incomplete", answered: "The server answered {status}.", failed: "failed",
    unreachable: "The server cannot be reached. Is it running?", offline: "No connection to the server; trying again.",
    embedding: "vectors {done}/{total}", pages: "{n} pages", onePage: "1 page", pagesFailed: "Pages not read: {list}", passages: "{n} passages", onePassage: "1 passage",
    dismiss: "Dismiss", switchTo: "ES", language: "Language: English. Switch to Spanish", skip: "Go to the question",
    readBy: "read by {engine}, {percent}%", heardBy: "heard by {engine}, {percent}%", doubtful: "{how}: better check it", nothingRead: "{engine} found no text",
    machine: "Machine", looking: "Looking at the machine…", why: "Why so", inTurns: "in turns", layers: "graphics card, {on} of {of} layers", speed: "{low}–{high} tokens/s",
    vram: "Memory of the graphics card", ram: "RAM", others: "other programs", models: "Acervo's models", margin: "margin", busy: "{percent}% busy",
    noModel: "There is no model to write: answers quote the passages.", noRoom: "It does not fit into the memory there is.",
    mode_gpu: "{model} computes wholly on the graphics card.", mode_hybrid: "{model} computes on the graphics card ({on} of {of} layers) and on the CPU.",
    mode_cpu: "{model} computes on the CPU.", mode_auto: "{model} computes where Ollama puts it.",
    device_gpu: "graphics card", device_cpu: "CPU", device_npu: "NPU", device_auto: "where Ollama puts it",
    role_chat: "Answers", role_embedding: "Vectors", role_reranking: "Reranking", role_transcription: "Recordings", role_ocr: "Scans", role_captions: "Pictures",
    slowly: "The machine is hot, or on battery: documents are read more slowly.", resting: "The machine needs rest: the reading of documents is paused.",
    waitsForMemory: "{role}: waits for memory.",
    stage_reading: "reading", stage_indexing: "indexing", stage_ocr: "OCR", stage_speech: "transcribing",
    left: "about {time} left", leftSoon: "less than 1 min left", waits_turn: "waits for its turn", waits_rest: "paused: the machine rests",
  },
};

let current = localStorage.getItem("language") ?? (navigator.language.toLowerCase().startsWith("es") ? "es" : "en");

export const language = () => current;

/** Returns a text, with {name} replaced by values. A text that is not there is its own key. */
export function t(key, values = {}) {
  return (words[current][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Returns the word for a key with a prefix, or the key itself where there is none. */
export const word = (prefix, key) => words[current][prefix + key] ?? key;

/** Writes the texts of all elements that name theirs in data-t, data-label or data-placeholder. */
export function translate(root = document) {
  document.documentElement.lang = current;
  for (const e of root.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t);
  for (const e of root.querySelectorAll("[data-label]")) e.setAttribute("aria-label", t(e.dataset.label));
  for (const e of root.querySelectorAll("[data-placeholder]")) e.placeholder = t(e.dataset.placeholder);
}

export function switchLanguage() {
  current = current === "es" ? "en" : "es";
  localStorage.setItem("language", current);
  translate();
}

/** Says where a passage stands. */
export function place(location) {
  switch (location.kind) {
    case "page": return t("page", { n: location.page });
    case "slide": return t("slide", { n: location.slide });
    case "cells": return [location.sheet, location.range].filter(Boolean).join(" ");
    case "time": return t("time", { start: clock(location.start_s), end: clock(location.end_s) });
    default: return location.heading || t("characters", location);
  }
}

/** Says what is being done with a document, and how far that has come: "OCR 12/40". */
export function stage(d) {
  const { done = 0, total = 0, unit = "" } = d.progress ?? {};
  const far = unit === "s" ? `${clock(done)}/${clock(total)}` : `${done}/${total}`;
  return [d.stage && word("stage_", d.stage), total > 0 && far].filter(Boolean).join(" ");
}

/** Says why the work on a document waits, or how long it may take still; "" where neither is known. */
export function pending(progress) {
  if (progress?.waits) return t(`waits_${progress.waits}`);
  if (!progress?.left_s) return "";
  return progress.left_s < 60 ? t("leftSoon") : t("left", { time: roughly(progress.left_s) });
}

/** Writes a time in seconds as nobody can tell it more exactly: 1 min, 2 h 5 min. */
function roughly(s) {
  const minutes = Math.ceil(s / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Names an engine, which the server gives with its version, as its makers do. */
export function engineName(engine) {
  const names = { "rapidocr": "RapidOCR", "tesseract": "Tesseract", "surya": "Surya", "faster-whisper": "Whisper", "openvino-genai": "Whisper" };
  const first = engine.split(" ")[0];
  return names[first] ?? first;
}

/** Says which engine read a page, or heard a recording, and how sure it was; "" for text that is the file's own. */
export function recognised(recognition, heard = false) {
  if (!recognition) return "";
  const { engine, confidence } = recognition;
  if (!confidence) return t("nothingRead", { engine: engineName(engine) });
  const how = t(heard ? "heardBy" : "readBy", { engine: engineName(engine), percent: Math.round(confidence * 100) });
  return confidence < (heard ? 0.4 : 0.6) ? t("doubtful", { how }) : how; // Whisper is never as sure as OCR is
}

/** Writes a time in a recording as 08:30, or as 1:08:30 from an hour on. */
export function clock(s) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return s < 3600 ? `${two(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two((s / 60) % 60)}:${two(s % 60)}`;
}
