// The list by itself: one stream of events tells that something changed, and the desk fetches what it is. If the stream
// drops, the page says since when its list is old, and comes back by itself. Nothing here is needed to work the list.
import { refresh } from "./desk.js";

const KEPT = "perezvon.paused";
const LONGEST_PAUSE_S = 30;
// A browser has six connections for one site: a page that nobody has looked at for so long gives its one back.
const HIDDEN_MS = 5 * 60 * 1000;
// What changes by the clock alone: «ждёт», «просрочено», a claim that runs out.
const EVERY_MS = 60 * 1000;

const place = document.querySelector(".live");
const told = place.appendChild(document.createElement("span"));
const pause = place.appendChild(document.createElement("button"));
told.setAttribute("role", "status");
pause.type = "button";

let stream = null;
let tries = 0;
let waiting = 0;
let hiding = 0;
/** Of what time the list on the screen is, by the school's clock: «9:14». */
let at = place.dataset.at;
/** The school's clock as the last event told it, and when that was. */
let heard = null;
let pausedAt = sessionStorage.getItem(KEPT);
let state = "live";

function show(next = state) {
  state = next;
  const paused = pausedAt !== null;
  place.className = `live ${state}`;
  pause.textContent = paused ? "Продолжить" : "Пауза";
  pause.hidden = state === "out";
  if (state === "out") {
    told.replaceChildren("Вы вышли. ", link("Войдите снова"), ", чтобы список обновлялся.");
  } else if (state === "lost") {
    told.textContent = `Нет связи с сервером. Список от ${pausedAt || at}.`;
  } else {
    told.textContent = paused ? (pausedAt ? `На паузе с ${pausedAt}` : "На паузе") : "Обновляется само";
  }
}

function link(text) {
  const a = document.createElement("a");
  a.href = `/login?to=${encodeURIComponent(location.pathname + location.search)}`;
  a.textContent = text;
  return a;
}

function now() {
  if (!heard) return "";
  const [hours, minutes] = heard.at.split(":").map(Number);
  const day = (hours * 60 + minutes + Math.floor((performance.now() - heard.when) / 60000)) % 1440;
  return `${Math.floor(day / 60)}:${String(day % 60).padStart(2, "0")}`;
}

let fetching = false;
let missed = false;

/** Fetches the list, if changes are wanted on this screen. One that does not come is a connection that is lost. */
async function fetchList() {
  if (pausedAt !== null) return arrived();
  if (fetching) return void (missed = true);
  fetching = true;
  try {
    await refresh();
    at = now();
    arrived();
  } catch {
    if (stream) lost();
  } finally {
    fetching = false;
  }
  const again = missed && stream;
  missed = false;
  if (again) fetchList();
}

function arrived() {
  if (!stream) return;
  tries = 0;
  show("live");
}

function connect() {
  clearTimeout(waiting);
  if (stream || state === "out") return;
  stream = new EventSource("/callbacks/events");
  stream.addEventListener("list", (event) => {
    heard = { at: JSON.parse(event.data).at, when: performance.now() };
    if (pausedAt === "") sessionStorage.setItem(KEPT, (pausedAt = heard.at));
    fetchList();
  });
  stream.addEventListener("signed-out", () => close("out"));
  stream.onerror = lost;
}

function close(next) {
  stream?.close();
  stream = null;
  show(next);
}

/** Says so, and tries again: after one second, two, four, … */
function lost() {
  close("lost");
  clearTimeout(waiting);
  const seconds = Math.min(2 ** tries++, LONGEST_PAUSE_S);
  waiting = setTimeout(again, seconds * (750 + 500 * Math.random()));
}

/** A stream that is refused does not say why: the answer to a plain question does. */
async function again() {
  clearTimeout(waiting);
  if (stream || state === "out") return;
  try {
    const { status } = await fetch("/callbacks/events", { method: "HEAD" });
    if (status === 401) return close("out");
    if (status !== 200) return lost();
  } catch {
    return lost();
  }
  connect();
}

pause.addEventListener("click", () => {
  if (pausedAt === null) {
    sessionStorage.setItem(KEPT, (pausedAt = now()));
    show();
  } else {
    pausedAt = null;
    sessionStorage.removeItem(KEPT);
    show();
    // A new stream says at once what time it is, and that there is something to fetch.
    if (state === "live") close("live");
    atOnce();
  }
});

function atOnce() {
  tries = 0;
  again();
}

window.addEventListener("online", atOnce);
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => state === "live" && close("live"), HIDDEN_MS);
  else atOnce();
});
// A page that is put aside for «назад» may not keep a connection; when it comes back it looks again.
window.addEventListener("pagehide", () => close(state));
window.addEventListener("pageshow", (event) => event.persisted && atOnce());
setInterval(() => !document.hidden && stream && state === "live" && fetchList(), EVERY_MS);

show();
connect();
