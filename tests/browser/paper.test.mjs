// What is printed: A4 pages with their heading on each, and no row cut in two.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { browser, signedIn } from "./browser.mjs";
import { School, callers } from "./school.mjs";

let school, chrome, page;

before(async () => {
  [school, chrome] = await Promise.all([School.onMonday(callers(40)), browser()]);
  page = await signedIn(chrome, school, "admin", school.officer("Завуч А.", "admin", "admin"));
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

/** The text of each page as it would be printed. All must be A4. */
async function printed(address) {
  await page.goto(address);
  const pdf = await page.pdf({ preferCSSPageSize: true });
  const read = (program, ...words) => execFileSync(program, words, { input: pdf, encoding: "utf8" });
  assert.match(read("pdfinfo", "-"), /Page size:\s+(594\.96 x 841\.92|595\.\S* x 841\.\S*|595\.\S* x 842\S*|841\.\S* x 594\.\S*|841\.\S* x 595\.\S*) pts \(A4\)/);
  return read("pdftotext", "-layout", "-", "-").split("\f").slice(0, -1);
}

test("40 entries are printed on A4 with the heading on each page and every caller once", async () => {
  const pages = await printed("/callbacks/print");
  assert.ok(pages.length >= 3 && pages.length <= 4, `${pages.length} pages`);
  for (const [n, text] of pages.entries()) {
    assert.match(text, /Список для перезвона на 23\.11\.2026/, `page ${n + 1}`);
    assert.match(text, /Телефон/, `page ${n + 1}`);
    assert.match(text, new RegExp(`Страница ${n + 1} из ${pages.length}`));
  }
  const numbers = pages.flatMap((text) => text.match(/8 928 100-\d\d-\d\d/g) ?? []);
  assert.deepEqual(numbers.sort(), Array.from({ length: 40 }, (_, n) => `8 928 100-00-${String(n).padStart(2, "0")}`));
});

for (const [address, what] of [
  ["/poster", /8 928 803-63-55[\s\S]*8 928 832-80-88/],
  ["/reports/sheet?month=2026-11", /[Нн]оябр/],
]) {
  test(`${address} is one A4 page`, async () => {
    const pages = await printed(address);
    assert.equal(pages.length, 1);
    assert.match(pages[0], what);
  });
}
