// The list by keys, without a page load between entries. The page works without this file: every action is a form.
// Keys are physical ones (KeyboardEvent.code), so they are the same under the Russian and the Latin layout.

import { merge, show } from "./merge.js";
import { changeSpeed, listen, remember, remembered, skip } from "./player.js";
import { putDraftsBack, say, signInAgain, strip, tell } from "./strip.js";

const byId = (id) => document.getElementById(id);
const list = byId("list");
const cards = () => [...list.querySelectorAll(".card:not([hidden], .gone)")];
const unfolded = () => list.querySelector("details.card[open]");
/** The entry in hand: where the focus is, else the unfolded one. */
const current = () => document.activeElement?.closest(".card") ?? unfolded() ?? cards()[0];
const focus = (element) => element?.focus({ preventScroll: true });

// ---- What comes from the server ----

/** An action is on its way. */
let busy = false;
/** How many actions there have been on this page. */
let actions = 0;
/** Keys pressed meanwhile: they mean the page that comes. */
let ahead = [];

/** The page of an answer; a session that has ended is told, and then there is none. */
async function pageOf(answer) {
  if (answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/login")) return signInAgain(unfolded());
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/**
 * Fetches the present view and merges it: new entries wait behind «Новых: 2. Показать»; focus, scroll, sound, typed text
 * and the unfolded entry stay. Throws if the server does not answer with the list. Nothing is done while an action is on its
 * way, nor with a view that is older than the answer to one: it would unfold what this officer has left.
 */
export async function refresh() {
  if (busy) return;
  const before = actions;
  const address = new URL(location.href);
  if (unfolded()) address.searchParams.set("at", unfolded().id.slice(1));
  address.searchParams.set("keep", "1");
  const answer = await fetch(address);
  const page = await pageOf(answer);
  if (busy || actions !== before || !page) return;
  if (!page.getElementById("list")) throw new Error(`the list is not there: ${answer.status}`);
  const card = document.activeElement?.closest(".card");
  merge(page, false);
  if (card && document.activeElement === document.body) focus(byId(card.id)?.querySelector(".head"));
}

/** Sends something of this officer's and takes the answer over. `true`: it was done. */
async function go(address, form) {
  busy = true;
  actions += 1;
  let done = false;
  try {
    const answer = await fetch(address, form && { method: "POST", body: new URLSearchParams(form) });
    const page = await pageOf(answer);
    if (page?.getElementById("list")) {
      done = answer.ok;
      arrive(page, answer, form);
    } else if (page) {
      tell(page.querySelector("main p")?.textContent ?? "Не удалось сохранить. Попробуйте ещё раз.");
    }
  } catch {
    tell("Нет связи с сервером. Не удалось сохранить, написанное осталось на странице. Попробуйте ещё раз.");
  }
  busy = false;
  if (!done) ahead = [];
  return done;
}

function arrive(page, answer, form) {
  merge(page, true);
  const chosen = byId(page.querySelector("details.card[open]")?.id);
  for (const card of list.querySelectorAll("details.card[open]")) card.open = card === chosen;
  if (chosen) {
    chosen.open = true;
    show(chosen);
  }
  const said = page.getElementById("strip");
  if (form) say(...[...said.childNodes].map((node) => document.importNode(node, true)));
  if (answer.ok) {
    const address = new URL(answer.url);
    for (const name of ["did", "undone"]) address.searchParams.delete(name);
    history.replaceState(null, "", address);
    come(chosen);
  } else {
    (byId("told") ?? chosen)?.focus();
  }
}

/** Focus, place and position: «2 из 9». */
function come(card) {
  if (!card) return byId("main").focus();
  focus(card.querySelector(".head"));
  card.scrollIntoView({ block: "nearest" });
  const all = cards();
  byId("place").textContent = `${all.indexOf(card) + 1} из ${all.length}`;
}

// ---- Forms and links ----

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (form.closest("#panel")) {
    event.preventDefault();
    return openPanel(form.getAttribute("action"), new FormData(form, submitter));
  }
  if (!form.closest("#list, #strip, #undo") || form.method !== "post") return;
  event.preventDefault();
  if (busy) return;
  const dials = (submitter ?? form).hasAttribute("data-dials");
  const done = await go(submitter?.getAttribute("formaction") ?? form.getAttribute("action"), new FormData(form, submitter));
  if (done && dials) unfolded()?.querySelector(".dial a")?.click();
  goOn();
});

document.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { target } = event;
  const head = target.closest("a.head");
  const panel = target.closest('a[data-panel], #panel a[href*="fragment=1"]');
  if (head ?? panel) event.preventDefault();
  const there = target.closest("a.jump") && byId(target.closest("a.jump").hash.slice(1));
  if (there) event.preventDefault();
  if (head) unfold(head.closest(".card"));
  else if (there) unfold(there);
  else if (panel) openPanel(panel.href);
  else if (target.closest(".fresh")) target.closest(".group").querySelectorAll(".card.new").forEach(show), (target.closest(".fresh").hidden = true);
  else if (target.closest("[data-press]")) target.closest(".card").querySelector(target.closest("[data-press]").dataset.press)?.click();
  else if (target.closest("[data-copy]")) copy(target.closest("[data-copy]"));
  else if (target.closest("[data-close]")) closePanel();
  else if (target.closest("[data-dial]")) {
    // Nobody has dialled yet in this claim: the attempt is written down first.
    event.preventDefault();
    if (!busy && (await go(target.closest("[data-dial]").dataset.dial, new FormData()))) unfolded()?.querySelector(".dial a")?.click();
    goOn();
  } else if (target.closest(".dial a")) dialled(target.closest(".card"));
});

/** Another entry in hand: its forms and players come from the server. */
async function unfold(card) {
  if (busy || !card) return;
  if (card.matches("details")) {
    for (const other of list.querySelectorAll("details.card[open]")) other.open = other === card;
    card.open = true;
    return come(card);
  }
  focus(card.querySelector(".head"));
  await go(card.querySelector(".head").href);
  goOn();
}

// Whoever opens the rarer choices by hand sees them all.
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.matches(".more:not([open])")) for (const choice of target.querySelectorAll(".choice")) choice.hidden = false;
  },
  true,
);

async function copy(button) {
  await navigator.clipboard?.writeText(byId(button.dataset.copy).textContent).catch(() => {});
  button.textContent = "Скопировано";
}

/** The caller's card at the right; its own form and links stay there. */
async function openPanel(address, form) {
  const panel = byId("panel");
  const body = form && new URLSearchParams(form);
  const answer = await fetch(address, { method: form ? "POST" : "GET", body, headers: { "x-fragment": "1" } }).catch(() => null);
  if (!answer) return tell("Нет связи с сервером. Попробуйте ещё раз.");
  const page = await pageOf(answer);
  if (!page) return;
  const content = page.querySelector("article.caller, main") ?? page.body;
  panel.querySelector("div").replaceChildren(document.importNode(content, true));
  panel.hidden = false;
  panel.focus();
}

function closePanel() {
  byId("panel").hidden = true;
  focus(current()?.querySelector(".head"));
}

// ---- After the call ----

const RETURN_WITHIN_MS = 10 * 60 * 1000;

function dialled(card) {
  sessionStorage.setItem("dialled", JSON.stringify([card.id, Date.now()]));
}

/** Back from the dialler of the telephone: one question. */
function ask() {
  if (document.hidden || !matchMedia("(hover: none), (max-width: 46rem)").matches) return;
  const [id, at] = JSON.parse(sessionStorage.getItem("dialled") ?? "[]");
  sessionStorage.removeItem("dialled");
  const question = id && Date.now() - at < RETURN_WITHIN_MS && byId(id)?.querySelector(".ask");
  if (!question) return;
  question.hidden = false;
  question.querySelector("button").focus();
}
document.addEventListener("visibilitychange", ask);

// ---- Keys ----

function step(by) {
  const all = cards();
  const card = all[all.indexOf(current()) + by];
  if (card) return unfold(card);
  const further = document.querySelector(by > 0 ? "#pages .further-on" : "#pages .back");
  if (further) location.assign(further.href);
  else come(current());
}

/** Presses what carries this key, in the entry in hand. */
function press(code) {
  const target = current()?.querySelector(`[data-key="${code}"]`);
  target?.click();
  return Boolean(target);
}

/** Opens one of the rarer choices; a digit chooses, Enter confirms. */
function choose(code) {
  const choice = current()?.querySelector(`.choice[data-choice="${code}"]`);
  if (!choice) return false;
  const more = choice.closest(".more");
  more.open = true;
  for (const other of more.querySelectorAll(".choice")) other.hidden = other !== choice;
  focus(choice.querySelector("fieldset"));
  choice.scrollIntoView({ block: "nearest" });
}

function more() {
  const fold = current()?.querySelector(".more");
  if (!fold) return false;
  fold.open = !fold.open;
}

function digit(number) {
  const chosen = document.activeElement?.closest(".choice")?.querySelector(`[data-digit="${number}"]`);
  if (!chosen) return false;
  if (chosen.matches("input:not([type=radio])")) return focus(chosen);
  chosen.click();
  if (chosen.dataset.then) focus(byId(chosen.dataset.then));
}

function confirm() {
  const choice = document.activeElement?.closest(".choice");
  if (!choice) return press("Enter");
  const button = choice.querySelector("[data-confirm]");
  button?.click();
  return Boolean(button);
}

const keys = {
  KeyJ: () => step(1),
  ArrowDown: () => step(1),
  KeyK: () => step(-1),
  ArrowUp: () => step(-1),
  Enter: confirm,
  KeyD: () => press("KeyD"),
  KeyN: () => press("KeyN"),
  KeyO: () => press("KeyO"),
  KeyT: () => press("KeyT"),
  KeyW: () => press("KeyW"),
  KeyL: () => press("KeyL"),
  KeyP: () => choose("KeyP"),
  KeyR: () => choose("KeyR"),
  KeyE: () => choose("KeyE"),
  KeyA: () => choose("KeyA"),
  Period: more,
  KeyZ: () => byId("undo")?.requestSubmit() ?? Boolean(byId("undo")),
  KeyS: () => changeSpeed(),
  Space: () => listen(current() ?? list),
  ArrowLeft: () => skip(current() ?? list, -5),
  ArrowRight: () => skip(current() ?? list, 5),
  Slash: () => (byId("search") ? byId("search").focus() : location.assign("/calls#search")),
  "?": () => {
    const help = byId("keys");
    help.open = true;
    help.querySelector("summary").focus();
  },
};

/** Keys that were pressed while an answer was on its way. */
function goOn() {
  while (ahead.length && !busy) ahead.shift()();
}

let off = remembered("keys") === "off";
let pressedAt = -Infinity;

document.addEventListener("keydown", (event) => {
  const { target, shiftKey } = event;
  if (event.key === "Escape") {
    if (!byId("panel").hidden) return closePanel();
    const fold = target.closest(".more[open]");
    if (fold) {
      fold.open = false;
      focus(fold.closest(".card").querySelector(".head"));
    }
    return;
  }
  if (off || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (target.closest("input:not([type=radio]), textarea, select, audio, dialog, [contenteditable], #panel")) return;
  const code = event.code.replace("NumpadEnter", "Enter");
  const number = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  const key = number ? () => digit(number) : shiftKey ? code === "Slash" && keys["?"] : keys[code];
  if (!key) return;
  // On a button, link or inner fold, Enter means that thing itself; so does the space bar, but not on a link.
  if (code === "Enter" || code === "Space") {
    const own = target.closest(code === "Space" ? "button, summary" : "button, a, summary");
    if (own && !(own.matches(".card[open] > summary") || (busy && own.matches(".head")))) return;
  }
  if (target.matches("[type=radio]") && code.startsWith("Arrow")) return;
  // An impatient hand presses Enter twice and means once.
  const again = code === "Enter" && event.timeStamp - pressedAt < 400;
  pressedAt = code === "Enter" ? event.timeStamp : -Infinity;
  if (again) return event.preventDefault();
  if (busy) {
    ahead.push(key);
    event.preventDefault();
  } else if (key() !== false) event.preventDefault();
});

const toggle = byId("keys-off");
function tellKeys() {
  toggle.textContent = off ? "Клавиши: включить" : "Клавиши: выключить";
  document.documentElement.classList.toggle("no-keys", off);
}
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    off = !off;
    remember("keys", off ? "off" : "on");
    tellKeys();
  });
  tellKeys();
}

// Who is on the telephone keeps what he holds: while the page is open, its claims are renewed well before they run out.
const RENEW_EVERY_MS = 5 * 60 * 1000;
setInterval(() => {
  for (const card of list.querySelectorAll(".card.mine")) {
    fetch(`/callbacks/${card.id.slice(1)}/claim`, { method: "POST", body: new URLSearchParams(), redirect: "manual" }).catch(() => {});
  }
}, RENEW_EVERY_MS);

// The page comes back at the entry it names; what was not done is read first. After `load`, for going to the address's
// anchor takes the focus away again.
window.addEventListener("load", () => {
  putDraftsBack();
  if (!strip.hidden) say(...strip.childNodes);
  const told = byId("told");
  setTimeout(() => {
    if (told) told.focus();
    else if (unfolded()) focus(unfolded().querySelector(".head"));
    ask();
  });
});
