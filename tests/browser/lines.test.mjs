// One number that waits on both lines: two officers at their keys call it once.

import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { browser, dialled, signedIn } from "./browser.mjs";
import { PARENTS, STAFF, School } from "./school.mjs";

let school, chrome, madina, aishat, staff, parents;

before(async () => void (chrome = await browser()));
after(() => chrome?.close());

beforeEach(async () => {
  school = await School.onMonday([STAFF, PARENTS].map((to) => ({ from: "+79281234567", to })));
  const waiting = await school.callbacks();
  [staff, parents] = ["staff", "parents"].map((line) => waiting.find((callback) => callback.line === line).id);
  const [hers, theirs] = [school.officer("Мадина И.", "madina", "officer"), school.officer("Айшат М.", "aishat", "officer")];
  [madina, aishat] = [await signedIn(chrome, school, "madina", hers), await signedIn(chrome, school, "aishat", theirs)];
  await madina.goto(`/callbacks?at=${staff}`);
  await aishat.goto(`/callbacks?at=${parents}`);
});

afterEach(async () => {
  await Promise.all([madina, aishat].map((page) => page?.context().close()));
  await school?.close();
});

const card = (page, id) => page.locator(`#c${id}`);

test("Enter asks who calls on the other line, W dials anyway", async () => {
  await aishat.getByRole("button", { name: "Пауза" }).click();
  await aishat.focus(`#c${parents} summary`);
  await madina.keyboard.press("Enter");
  await madina.waitForSelector(`#c${staff}.mine`);
  await aishat.keyboard.press("Enter");
  await aishat.waitForSelector("#told");
  assert.match(await aishat.textContent("#told"), /сейчас звонит Мадина И\., линия «Сотрудники», с.\d+:\d\d/);
  assert.deepEqual(await dialled(aishat), []);
  // Whoever presses Enter once more by habit dials nobody either.
  await new Promise((later) => setTimeout(later, 500));
  await aishat.keyboard.press("Enter");
  assert.deepEqual(await dialled(aishat), []);
  await aishat.keyboard.press("KeyW");
  await aishat.waitForSelector(`#c${parents}.mine`);
  await aishat.waitForFunction(() => globalThis.dialled.length === 1);
});

test("a claim on the other line is seen by itself, and so is its answer", async () => {
  await madina.keyboard.press("Enter");
  // In the entry's line, and above its buttons.
  for (const place of [0, 1]) {
    await card(aishat, parents).getByText("Сейчас звонит Мадина И., линия «Сотрудники»").nth(place).waitFor();
  }
  await madina.keyboard.press("KeyD");
  await card(aishat, parents).getByText("Уже ответили на линии «Сотрудники».").waitFor();
  await aishat.focus(`#c${parents} summary`);
  await aishat.keyboard.press("KeyD");
  await aishat.getByText("Всех обзвонили.").waitFor();
  assert.deepEqual((await school.callbacks("&state=all")).map((callback) => callback.state), ["done", "done"]);
});

test("a number just tried is put off with T, and L leads to the other line", async () => {
  await madina.keyboard.press("Enter");
  await madina.waitForSelector(`#c${staff}.mine`);
  await madina.keyboard.press("KeyN");
  await card(aishat, parents).getByText("Уже звонили на линии «Сотрудники».").waitFor();
  await aishat.focus(`#c${parents} summary`);
  await aishat.keyboard.press("KeyT");
  await aishat.getByText("Всех обзвонили.").waitFor();
  const times = (await school.callbacks("&state=later")).map((callback) => callback.until);
  assert.equal(times.length, 2);
  assert.equal(times[0], times[1]);
  await aishat.goto("/callbacks?show=all");
  const shown = await aishat.getAttribute("details.card[open]", "id");
  await aishat.keyboard.press("KeyL");
  await aishat.waitForFunction((id) => document.querySelector("details.card[open]").id !== id, shown);
});

// Two entries were unfolded then, and which one the keys meant nobody could tell.
test("a list that was asked for before a step does not undo the step on the screen", async () => {
  await aishat.goto(`/callbacks?show=all&at=${parents}`);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const holdBack = async (route) => {
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  };
  // Only the first one: others may still be on their way at the end.
  await aishat.route(/keep=1/, holdBack, { times: 1 });
  const asked = aishat.waitForRequest(/keep=1/);
  await madina.keyboard.press("Enter");
  const request = await asked;
  await aishat.keyboard.press("KeyL");
  await aishat.waitForSelector(`#c${staff}[open]`);
  release();
  await (await request.response()).finished();
  await aishat.evaluate(async () => (await fetch(location.href)).text());
  const unfolded = await aishat.locator("details.card[open]").evaluateAll((cards) => cards.map((card) => card.id));
  assert.deepEqual(unfolded, [`c${staff}`]);
});

for (const width of [360, 1366]) {
  test(`both lines fit a screen of ${width} px`, async () => {
    await madina.keyboard.press("Enter");
    await madina.waitForSelector(`#c${staff}.mine`);
    await aishat.setViewportSize({ width, height: 768 });
    await aishat.goto(`/callbacks?at=${parents}`);
    const over = await aishat.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${over} px too wide`);
    assert.ok(await card(aishat, parents).getByRole("button", { name: "Всё равно позвонить" }).isVisible());
  });
}
