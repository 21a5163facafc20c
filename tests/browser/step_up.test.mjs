// The password once more, by keyboard and without scripts: the page in between says what will be done and goes on with it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, faults, overhang, signedIn } from "./browser.mjs";
import { School } from "./school.mjs";

let school, chrome, password;

before(async () => {
  [school, chrome] = await Promise.all([School.open(), browser()]);
  password = school.officer("Заур К.", "admin", "admin");
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

/** So that what was typed at the sign-in counts no longer. */
async function minutesLater(at) {
  await school.stop();
  await school.start(at);
}

test("a role is changed by keyboard after the password, and a wrong one loses nothing", async () => {
  school.officer("Айшат М.", "aishat", "officer");
  const admin = await signedIn(chrome, school, "admin", password);
  await minutesLater("2026-11-20T19:45:00+03:00");
  await admin.goto("/people");
  await admin.getByRole("link", { name: "Айшат М." }).click();
  await admin.getByLabel("Роль", { exact: true }).selectOption("senior");
  await admin.getByRole("button", { name: "Изменить роль" }).press("Enter");
  await admin.getByRole("heading", { name: "Подтвердите паролем" }).waitFor();
  const told = await admin.locator("main").innerText();
  assert.match(told, /Изменить роль[\s\S]*Айшат М\.[\s\S]*Старший/);
  for (const width of [1366, 768, 360, 320]) {
    await admin.setViewportSize({ width, height: 768 });
    assert.deepEqual(await faults(admin), []);
    assert.ok((await overhang(admin)) <= 0, `${width} px`);
    if (process.env.SHOTS) await admin.screenshot({ path: `${process.env.SHOTS}/confirm-${width}.png` });
  }
  assert.equal(await admin.evaluate(() => document.activeElement.id), "confirm_password");
  await admin.keyboard.type("не тот пароль");
  await admin.keyboard.press("Enter");
  await admin.getByText("Пароль не подходит.").waitFor();
  assert.deepEqual(await faults(admin), []);
  await admin.keyboard.type(password);
  await admin.keyboard.press("Enter");
  await admin.getByText("Роль изменена, она действует сразу.").waitFor();
  await admin.context().close();
});

test("lines are ticked on the page of a person", async () => {
  school.officer("Зарема А.", "zarema", "officer");
  const admin = await signedIn(chrome, school, "admin", password);
  await admin.goto("/people");
  await admin.getByRole("link", { name: "Зарема А." }).click();
  await admin.getByLabel("Родители").check();
  await admin.getByRole("button", { name: "Изменить линии" }).click();
  await admin.getByText("Линии изменены, это действует сразу.").waitFor();
  for (const width of [1366, 360, 320]) {
    await admin.setViewportSize({ width, height: 768 });
    assert.deepEqual(await faults(admin), []);
    assert.ok((await overhang(admin)) <= 0, `${width} px`);
    if (process.env.SHOTS) await admin.screenshot({ path: `${process.env.SHOTS}/person-${width}.png`, fullPage: true });
  }
  assert.ok(await admin.getByLabel("Родители").isChecked());
  await admin.goto("/people");
  assert.ok((await overhang(admin)) <= 0);
  await admin.context().close();
});

test("a file comes after the password without scripts", async () => {
  const admin = await signedIn(chrome, school, "admin", password, { javaScriptEnabled: false });
  await minutesLater("2026-11-20T20:00:00+03:00");
  await admin.goto("/calls?period=month");
  await admin.getByRole("link", { name: "CSV" }).click();
  await admin.getByText("Выгрузить журнал звонков, CSV").waitFor();
  await admin.getByLabel("Ваш пароль").fill(password);
  const [file] = await Promise.all([
    admin.waitForEvent("download"),
    admin.getByRole("button", { name: "Подтвердить" }).click(),
  ]);
  assert.match(file.suggestedFilename(), /\.csv$/);
  await admin.context().close();
});
