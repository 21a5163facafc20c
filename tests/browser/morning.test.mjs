// An officer's morning by keyboard alone, under the Russian layout: how many keys it takes, and that each can be taken back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Keyboard, browser, dialled, inHand, signedIn } from "./browser.mjs";
import { School, callers, until } from "./school.mjs";

let chrome;
before(async () => void (chrome = await browser()));
after(() => chrome?.close());

/** A school with so many callers on Monday morning, and Мадина at the list. */
async function morning(number, at = {}) {
  const school = await School.onMonday(callers(number));
  const password = school.officer("Мадина И.", "madina", "officer");
  school.officer("Айшат М.", "aishat", "officer");
  const page = await signedIn(chrome, school, "madina", password, at);
  return { school, page, keys: new Keyboard(page, { cyrillic: true }), stop: () => Promise.all([page.context().close(), school.close()]) };
}

for (const listens of [false, true]) {
  const most = listens ? 3 : 2;
  test(`20 callbacks take ${most} keys each ${listens ? "with" : "without"} listening, and no page is loaded`, async () => {
    const { school, page, keys, stop } = await morning(20);
    try {
      let loads = 0;
      page.on("load", () => (loads += 1));
      for (let left = 20; left > 0; left -= 1) {
        assert.equal(await page.title(), `(${left}) Перезвонить`);
        const id = await inHand(page);
        if (listens) {
          await keys.press("Space");
          await page.waitForFunction(() => [...document.querySelectorAll("audio")].some((audio) => audio.currentTime > 0));
        }
        await keys.press("Enter");
        await page.waitForSelector(`#c${id}.mine`);
        await keys.press("KeyD");
        await page.waitForFunction((left) => document.title === (left ? `(${left}) Перезвонить` : "Перезвонить"), left - 1);
      }
      assert.equal(keys.presses, 20 * most);
      assert.equal(loads, 0);
      // The title counts at once, the sentence comes with the list.
      await page.waitForFunction(() => /Всех обзвонили\. Последнее обращение закрыто в \d+:\d\d\./.test(document.querySelector("#empty").textContent));
      const callbacks = await school.callbacks("&state=done");
      assert.equal(callbacks.length, 20);
      assert.deepEqual((await dialled(page)).sort(), callbacks.map((callback) => `tel:${callback.callback_number}`).sort());
      assert.ok(callbacks.every((callback) => callback.attempts.length === 1), "each call is an attempt");
    } finally {
      await stop();
    }
  });
}

/** What undoing must bring back: all but the history and its number in the register. */
function lasting({ version, registered_at, registration_number, ...rest }) {
  return rest;
}

const ACTIONS = [
  ["Беру и звоню", ["Enter"], "claimed"],
  ["Готово", ["KeyD"], "done"],
  ["Не дозвонились", ["KeyN"], "later"],
  ["Отложить на час", ["KeyP", "Digit1"], "later"],
  ["Отложить на завтра", ["KeyP", "Digit3"], "later"],
  ["Отклонить: не обращение", ["KeyR", "Digit3", "Enter"], "declined"],
  ["Нештатная ситуация", ["KeyE", "Enter"], "exceptional"],
  ["Передать коллеге", ["KeyA", "Digit1"], "claimed"],
];

test("each action by keys can be taken back with one key", async () => {
  const { school, page, keys, stop } = await morning(2);
  try {
    for (const [name, pressed, state] of ACTIONS) {
      const id = await inHand(page);
      const before = await school.api(`callbacks/${id}`);
      for (const code of pressed) await keys.press(code);
      const acted = await until(name, async () => {
        const callback = await school.api(`callbacks/${id}`);
        return callback.version !== before.version && callback;
      });
      assert.equal(acted.state, state, name);
      await keys.press("KeyZ");
      const undone = await until(`${name} undone`, async () => {
        const callback = await school.api(`callbacks/${id}`);
        return callback.version !== acted.version && callback;
      });
      assert.deepEqual(lasting(undone), lasting(before), name);
      await page.waitForFunction(() => document.querySelector("#strip").textContent.includes("Отменено"));
      await page.waitForFunction((id) => document.querySelector("details.card[open]")?.id === `c${id}`, id);
    }
  } finally {
    await stop();
  }
});

test("letters typed into a note act on nothing, and the switch silences all keys", async () => {
  const { school, page, keys, stop } = await morning(2);
  try {
    const id = await inHand(page);
    await page.focus(`#c${id} input[name=note]`);
    await page.keyboard.type("dnzpre");
    await page.focus(`#c${id} summary`);
    await page.click("a.help");
    await page.click("#keys > summary");
    await page.click("#keys-off");
    await page.focus(`#c${id} summary`);
    for (const code of ["KeyD", "KeyN"]) await keys.press(code);
    assert.equal(await page.inputValue(`#c${id} input[name=note]`), "dnzpre");
    assert.equal((await school.api(`callbacks/${id}`)).state, "open");
  } finally {
    await stop();
  }
});
