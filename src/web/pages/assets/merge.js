// One page merged into another: what is the reader's stays, whatever the server sends.

import { dress } from "./player.js";

const byId = (id) => document.getElementById(id);

/** Whether somebody has typed here. */
export const typed = (field) => "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue;
const isTyped = (card) => [...card.querySelectorAll("input, textarea")].some(typed);

/** What makes two nodes the same one. */
const mark = (node) =>
  node.nodeType === 1
    ? [node.nodeName, node.id, node.classList[0], node.dataset.keep ?? node.getAttribute("action") ?? node.getAttribute("name")].join()
    : node.nodeName;

/** Makes `old` look like `now`, but keeps typed text, focus, open folds, and all that carries `data-keep`. */
function morph(old, now) {
  if (!old || !now || old.isEqualNode(now)) return;
  if (old.dataset.keep && old.dataset.keep === now.dataset.keep) return;
  const own = (name) => name === "open" || (name === "value" && typed(old)) || (name === "hidden" && old.matches(".choice"));
  for (const { name } of [...old.attributes]) if (!own(name) && !now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (!own(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  const drop = (node) => {
    const next = node.nextSibling;
    node.remove();
    return next;
  };
  let at = old.firstChild;
  for (const child of now.childNodes) {
    let found = at;
    while (found && mark(found) !== mark(child)) found = found.nextSibling;
    if (!found) {
      old.insertBefore(document.importNode(child, true), at);
      continue;
    }
    while (at !== found) at = drop(at);
    at = found.nextSibling;
    if (child.nodeType === 1) morph(found, child);
    else if (found.data !== child.data) found.data = child.data;
  }
  while (at) at = drop(at);
}

function mergeCard(old, now, own) {
  const was = old.matches("details");
  if (was !== now.matches("details")) {
    // What was begun in an entry stays there, though another one is unfolded now.
    if (!was || (own && !isTyped(old))) return old.replaceWith(document.importNode(now, true));
    if (own) old.open = false;
  } else if (own || !isTyped(old)) {
    return morph(old, now);
  }
  // Its version stays too, so that the answer to its forms tells who was faster.
  old.classList.toggle("late", now.classList.contains("late"));
  for (const part of [".head", ".siblings", ".calling"]) morph(old.querySelector(part), now.querySelector(part));
}

/** A new entry becomes a row like the others. */
export function show(card) {
  card.hidden = false;
  card.classList.remove("new");
}

/** Takes the server's page over, entry by entry. Rows never change places; `own`: after something this officer did. */
export function merge(page, own) {
  const list = byId("list");
  const fresh = page.getElementById("list");
  document.title = page.title;
  for (const id of ["closed", "alarms", "heading", "summary", "clock", "filters", "pages", "empty", ...(own ? ["notices"] : [])]) {
    morph(byId(id), page.getElementById(id));
  }
  morph(document.querySelector(".top .count"), page.querySelector(".top .count"));
  for (const card of list.querySelectorAll(".card")) {
    const now = page.getElementById(card.id);
    // What somebody else has finished is taken away with the next own step, not under the cursor.
    card.classList.toggle("gone", !now);
    if (now) mergeCard(card, now, own);
    else if (own && !isTyped(card)) card.remove();
  }
  for (const group of fresh.querySelectorAll(".group")) {
    let here = byId(group.id);
    if (!here) {
      here = document.importNode(group, true);
      for (const card of here.querySelectorAll(".card")) card.remove();
      byId("pages").before(here);
    }
    morph(here.querySelector(".count"), group.querySelector(".count"));
    let after = here.firstElementChild;
    for (const card of group.querySelectorAll(".card")) {
      const known = byId(card.id);
      if (known?.parentNode === here) after = known;
      if (known) continue;
      const added = document.importNode(card, true);
      added.hidden = !(own && added.matches("details"));
      added.classList.toggle("new", added.hidden);
      after.after(added);
      after = added;
    }
  }
  const waiting = [...list.querySelectorAll(".card.new")];
  if (!list.querySelector(".card:not(.new, .gone)")) waiting.forEach(show);
  for (const group of list.querySelectorAll(".group")) {
    const button = group.querySelector(".fresh");
    const count = group.querySelectorAll(".card.new").length;
    button.hidden = !count;
    button.textContent = `Новых: ${count}. Показать`;
    if (!group.querySelector(".card")) group.remove();
  }
  dress();
}
