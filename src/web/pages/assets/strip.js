// The strip at the foot of the list: what was done, with its way back, and what has to be read.

import { typed } from "./merge.js";

export const strip = document.getElementById("strip");

let hiding;

/** Shows this for 10 s, or longer while somebody is in it; nothing hides it. */
export function say(...content) {
  clearTimeout(hiding);
  strip.replaceChildren(...content);
  strip.hidden = !strip.textContent.trim();
  const hide = () => {
    if (strip.contains(document.activeElement)) hiding = setTimeout(hide, 10_000);
    else strip.hidden = true;
  };
  hiding = setTimeout(hide, 10_000);
}

/** Says what has to be read: it stays until the next thing is said. */
export function tell(text, ...further) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  say(paragraph, ...further);
  clearTimeout(hiding);
}

/** The session has ended: what was typed stays here, and is put back if this page is left for signing in. */
export function signInAgain(card) {
  const link = document.createElement("a");
  const back = new URL(location.href);
  if (card) back.searchParams.set("at", card.id.slice(1));
  link.className = "button";
  link.href = `/login?to=${encodeURIComponent(back.pathname + back.search)}`;
  link.textContent = "Войти и продолжить";
  link.addEventListener("click", () => {
    const fields = [...document.querySelectorAll("#list input, #list textarea")].filter(typed);
    sessionStorage.setItem("drafts", JSON.stringify(fields.map((field) => [path(field.form), field.name, field.value])));
  });
  tell("Время входа истекло. Написанное осталось на странице.", link);
  link.focus({ preventScroll: true });
}

const path = (form) => form?.getAttribute("action")?.split("?")[0];

export function putDraftsBack() {
  for (const [action, name, value] of JSON.parse(sessionStorage.getItem("drafts") ?? "[]")) {
    const field = [...document.forms].find((form) => path(form) === action)?.elements[name];
    if (!field) continue;
    field.value = value;
    const fold = field.closest?.(".more");
    if (fold) fold.open = true;
  }
  sessionStorage.removeItem("drafts");
}
