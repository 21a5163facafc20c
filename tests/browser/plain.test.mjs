// The same work with scripts switched off: forms, links, pages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, signedIn } from "./browser.mjs";
import { School, callers } from "./school.mjs";

let school, chrome, page;

before(async () => {
  [school, chrome] = await Promise.all([School.onMonday(callers(4)), browser()]);
  const password = school.officer("Мадина И.", "madina", "officer");
  page = await signedIn(chrome, school, "madina", password, { javaScriptEnabled: false });
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

const open = () => page.getAttribute("details.card[open]", "id").then((id) => id.slice(1));

test("a callback is taken, dialled and done with plain forms, and taken back", async () => {
  const id = await open();
  await page.click(`#c${id} button[data-key=Enter]`);
  assert.equal((await school.api(`callbacks/${id}`)).state, "claimed");
  assert.match(await page.getAttribute(`#c${id} .dial a`, "href"), /^tel:\+79\d{9}$/);
  await page.fill(`#c${id} input[name=note]`, "<b>Ответили</b>");
  await page.click(`#c${id} button[data-key=KeyD]`);
  assert.equal((await school.api(`callbacks/${id}`)).state, "done");
  assert.notEqual(await open(), id, "the next entry is in hand");
  await page.click("#strip button:has-text('Отменить')");
  assert.equal((await school.api(`callbacks/${id}`)).state, "claimed");
});

test("a callback is declined with a reason, and a missing note is said where it is missing", async () => {
  await page.goto("/callbacks");
  const id = await open();
  await page.click(`#c${id} .more > summary`);
  await page.click(`#c${id} input[value=not_enough_data]`);
  await page.click(`#c${id} [data-choice=KeyR] button[data-confirm]`);
  assert.match(await page.textContent("main [role=alert]"), /замет/i);
  assert.notEqual((await school.api(`callbacks/${id}`)).state, "declined");
  await page.fill(`#c${id} [data-choice=KeyR] input[name=note]`, "Не назвал класс");
  await page.click(`#c${id} [data-choice=KeyR] button[data-confirm]`);
  assert.equal((await school.api(`callbacks/${id}`)).state, "declined");
});

test("the log is searched by part of a number, written in any way", async () => {
  await page.goto("/calls");
  for (const typed of ["100-00", "8 (928) 100 00 02", "+7928100"]) {
    await page.fill("#search", typed);
    await page.press("#search", "Enter");
    assert.match(await page.textContent("main"), /8 928 100-00-02/, typed);
  }
  await page.fill("#search", "777");
  await page.press("#search", "Enter");
  assert.doesNotMatch(await page.textContent("main"), /8 928 100-00-02/);
});
