// The month by keys: arrows go by day, Page Up and Page Down by month. Without this file every day is a link.

const days = [...document.querySelectorAll("#days a")];
const chosen = days.find((day) => day.hasAttribute("aria-current")) ?? days[0];

/** Only one day is in the order of the Tab key. */
function take(day) {
  for (const other of days) other.tabIndex = other === day ? 0 : -1;
}

/** Another month, and the focus there. `date`: a day of it, UTC milliseconds; without one the link's own. */
function turn(which, date) {
  const link = document.querySelector(`.turn [rel="${which}"]`);
  if (!link) return;
  const address = new URL(link.href);
  if (date) address.searchParams.set("day", new Date(date).toISOString().slice(0, 10));
  address.hash = "days";
  location.assign(address);
}

const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const DAY_MS = 24 * 60 * 60 * 1000;

document.getElementById("days").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const here = days.indexOf(event.target.closest("a"));
  if (here < 0) return;
  const by = steps[event.code];
  if (by) {
    const next = days[here + by];
    const date = Date.parse(`${new URL(days[here].href).searchParams.get("day")}T00:00Z`) + by * DAY_MS;
    if (!next) turn(by < 0 ? "prev" : "next", date);
    else {
      take(next);
      next.focus();
    }
  } else if (event.code === "PageUp") turn("prev");
  else if (event.code === "PageDown") turn("next");
  else return;
  event.preventDefault();
});

take(chosen);
// After `load`: going to the address's anchor takes the focus away again.
window.addEventListener("load", () => {
  const told = document.getElementById("told");
  setTimeout(() => (told ? told.focus() : location.hash === "#days" && chosen.focus()));
});
