// What fits on the screens people have, and how the player behaves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, dialled, inHand, signedIn } from "./browser.mjs";
import { School, callers, until } from "./school.mjs";

let school, chrome, password;

before(async () => {
  [school, chrome] = await Promise.all([School.onMonday(callers(14)), browser()]);
  password = school.officer("Мадина И.", "madina", "officer");
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

/** The banner of a rehearsal stands on no school's page: its height is given to the window. */
async function withoutBanner(page) {
  const banner = await page.evaluate(() => document.querySelector(".rehearsal")?.offsetHeight ?? 0);
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width, height: height + banner });
}

const visible = (page) =>
  page.evaluate(() => {
    const cards = [...document.querySelectorAll(".card")];
    return cards.filter((card) => card.getBoundingClientRect().bottom <= innerHeight && card.getBoundingClientRect().top >= 0).length;
  });

test("one unfolded entry and ten folded ones are seen at once at 1366 × 768", async () => {
  const page = await signedIn(chrome, school, "madina", password);
  await withoutBanner(page);
  assert.ok((await visible(page)) >= 11, `${await visible(page)} entries`);
  assert.equal(await page.locator("details.card[open]").count(), 1);
  await page.context().close();
});

test("a phone shows the first entry and its call button at once; two taps and it is done", async () => {
  const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
  const page = await signedIn(chrome, school, "madina", password, phone);
  await withoutBanner(page);
  const id = await inHand(page);
  const button = page.locator(`#c${id} button[data-key=Enter]`);
  const { y, height } = await button.boundingBox();
  assert.ok(height >= 48 && y + height <= page.viewportSize().height, `at ${y}, ${height} high`);
  await button.tap();
  await page.waitForSelector(`#c${id}.mine`);
  assert.equal((await dialled(page)).length, 1);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.getByRole("button", { name: "Да, готово" }).tap();
  await until("done", async () => (await school.api(`callbacks/${id}`)).state === "done");
  await page.context().close();
});

test("one message plays at a time, at the chosen speed, and is fetched in parts", async () => {
  const page = await signedIn(chrome, school, "madina", password);
  const ranges = [];
  page.on("response", (answer) => answer.url().endsWith("/audio") && ranges.push([answer.status(), answer.headers()["content-type"]]));
  await page.keyboard.press("KeyS");
  await page.keyboard.press("Space");
  const playing = () => page.evaluate(() => [...document.querySelectorAll("audio")].filter((audio) => !audio.paused).map((audio) => audio.playbackRate));
  await page.waitForFunction(() => [...document.querySelectorAll("audio")].some((audio) => audio.currentTime > 0.1));
  assert.deepEqual(await playing(), [1.25]);
  assert.ok(ranges.length > 0 && ranges.every(([status, type]) => status === 206 && type.startsWith("audio/")), JSON.stringify(ranges));
  await page.keyboard.press("KeyJ");
  await page.waitForFunction(() => document.querySelector("details.card[open] audio")?.paused);
  await page.keyboard.press("Space");
  await page.waitForFunction(() => {
    const players = [...document.querySelectorAll("audio")].filter((audio) => !audio.paused);
    return players.length === 1 && players[0].closest("details.card[open]");
  });
  assert.deepEqual(await playing(), [1.25], "the speed is remembered");
  await page.context().close();
});
