// The keys of the list and one player at a time. The page works without this file: every action is a form.
// Keys are physical ones (KeyboardEvent.code), so they are the same under the Russian and the Latin layout.

const cards = () => [...document.querySelectorAll(".card")];

/** The entry in hand: where the focus is, else the unfolded one. */
const current = () =>
  document.activeElement?.closest(".card") ?? document.querySelector("details.card[open]") ?? cards()[0];

/** Goes to an entry: the unfolded one is on this page, any other is behind its link, which brings its forms and players. */
function open(card) {
  const head = card?.querySelector(".head");
  if (!head) return;
  if (!card.matches("details")) return head.click();
  card.open = true;
  head.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = cards();
  const place = all.indexOf(current());
  open(all[Math.min(Math.max(place + by, 0), all.length - 1)]);
}

/** Presses what carries this key: in the entry in hand, else anywhere on the page. */
function press(code) {
  const there = current()?.querySelector(`[data-key="${code}"]`);
  const target = code === "KeyZ" ? document.querySelector(`.strip [data-key="${code}"]`) ?? there : there;
  target?.click();
  return Boolean(target);
}

/** Plays or stops the message of the entry in hand: the one that plays or waits half-heard, else the first. */
function listen() {
  const players = [...(current()?.querySelectorAll("audio") ?? [])];
  const begun = players.find((player) => !player.paused) ?? players.find((player) => player.currentTime > 0 && !player.ended);
  const player = begun ?? players[0];
  if (!player) return false;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
  return true;
}

const keys = {
  KeyJ: () => step(1),
  KeyK: () => step(-1),
  Enter: () => press("Enter"),
  KeyD: () => press("KeyD"),
  KeyN: () => press("KeyN"),
  KeyZ: () => press("KeyZ"),
  Space: listen,
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.repeat) return;
  const key = keys[event.code === "NumpadEnter" ? "Enter" : event.code];
  const target = event.target;
  if (!key || target.closest("input, textarea, select, audio, [contenteditable]")) return;
  // On a button, link or inner fold, Enter means that thing itself; so does the space bar, but not on a link.
  const own = target.closest(event.code === "Space" ? "button, summary" : "button, a, summary");
  if ((event.code === "Enter" || event.code === "NumpadEnter" || event.code === "Space") && own) {
    const card = own.matches("details.card > summary") ? own.parentElement : null;
    if (!card?.open) return;
  }
  if (key() !== false) event.preventDefault();
});

// Who is on the telephone keeps what he holds: while the page is open, its claims are renewed well before they run out.
const RENEW_EVERY_MS = 5 * 60 * 1000;
setInterval(() => {
  for (const card of document.querySelectorAll(".card.mine")) {
    fetch(`/callbacks/${card.id.slice(1)}/claim`, { method: "POST", body: new URLSearchParams(), redirect: "manual" }).catch(() => {});
  }
}, RENEW_EVERY_MS);

// Media events do not bubble: they are caught on their way down.
document.addEventListener(
  "play",
  (event) => {
    for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
  },
  true,
);

// A form sent twice by an impatient hand would come back as «изменилось».
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// The page comes back at the entry it names; what was not done is read first. After `load`, for going to the address's
// anchor takes the focus away again.
window.addEventListener("load", () => {
  const unfolded = document.querySelector("details.card[open]");
  const told = document.getElementById("told");
  if (!unfolded) return;
  const first = told ?? unfolded.querySelector(".dial a") ?? unfolded.querySelector("summary");
  setTimeout(() => first.focus({ preventScroll: !told }));
});
