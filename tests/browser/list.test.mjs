import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, faults, overhang, signedIn } from "./browser.mjs";
import { School, callers } from "./school.mjs";

let school, chrome, password;

before(async () => {
  [school, chrome] = await Promise.all([School.onMonday(callers(4)), browser()]);
  password = school.officer("Мадина И.", "madina", "officer");
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

test("the list opens with the first entry in hand", async () => {
  const page = await signedIn(chrome, school, "madina", password);
  assert.match(await page.title(), /^\(4\) Перезвонить$/);
  assert.deepEqual(await faults(page), []);
  assert.ok((await overhang(page)) <= 0);
});
