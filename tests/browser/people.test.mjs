// Accounts by mouse: a new password, somebody new, the second factor. A stylesheet of another page must not cover a form.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { browser, faults, overhang, signedIn } from "./browser.mjs";
import { School, callers } from "./school.mjs";

const STEP_MS = 30_000;

let school, chrome;

before(async () => {
  [school, chrome] = await Promise.all([School.onMonday(callers(1)), browser()]);
});

after(async () => {
  await chrome?.close();
  await school?.close();
});

/** What an authenticator app shows `later` steps from now (RFC 6238): by the clock outside, also in a rehearsal. */
function code(secret, later = 0) {
  const bits = [...secret.replaceAll(/[\s=]/g, "")].map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
  );
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / STEP_MS) + later));
  const mac = createHmac("sha1", key).update(step).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** Nothing covers it and nothing is wider than the window. */
async function isSound(page) {
  assert.deepEqual(await faults(page), []);
  assert.ok((await overhang(page)) <= 0);
}

test("an officer changes the password by mouse and comes in with the new one", async () => {
  const old = school.officer("Мадина И.", "madina", "officer");
  const page = await signedIn(chrome, school, "madina", old);
  await page.getByRole("link", { name: "Мадина И." }).click();
  await isSound(page);
  await page.getByLabel("Нынешний пароль").fill(old);
  await page.getByLabel("Новый пароль", { exact: true }).fill("семь синих слонов");
  await page.getByLabel("Новый пароль ещё раз").fill("семь синих слонов");
  await page.getByRole("button", { name: "Изменить пароль" }).click();
  await page.getByText("Пароль изменён.").waitFor();
  await page.context().close();
  const again = await signedIn(chrome, school, "madina", "семь синих слонов");
  await again.context().close();
});

test("an administrator invites somebody, who chooses a password and is in", async () => {
  const admin = await signedIn(chrome, school, "admin", school.officer("Заур К.", "admin", "admin"));
  await admin.getByText("Ещё", { exact: true }).click();
  await admin.getByLabel("Разделы").getByRole("link", { name: "Сотрудники" }).click();
  await isSound(admin);
  await admin.getByLabel("Имя, каким его видят коллеги").fill("Айшат М.");
  await admin.getByLabel("Логин для входа").fill("aishat");
  await admin.getByLabel("Роль").selectOption("officer");
  await admin.getByRole("button", { name: "Пригласить и показать ссылку" }).click();
  const link = await admin.getByLabel("Ссылка", { exact: true }).inputValue();
  await admin.context().close();

  const page = await (await chrome.newContext()).newPage();
  await page.goto(link);
  await page.getByLabel("Пароль", { exact: true }).fill("три белых лошади");
  await page.getByLabel("Пароль ещё раз").fill("три белых лошади");
  await page.getByRole("button", { name: "Сохранить и войти" }).click();
  await page.waitForURL("**/callbacks**");
  assert.match(await page.textContent("header"), /Айшат М\./);
  await page.goto(link);
  assert.equal(await page.getByLabel("Пароль ещё раз").count(), 0, "the link holds once");
  await page.context().close();
});

test("the second factor is switched on with an app, and asked for at the next sign-in", async () => {
  const password = school.officer("Патимат А.", "patimat", "senior");
  const page = await signedIn(chrome, school, "patimat", password);
  await page.getByRole("link", { name: "Патимат А." }).click();
  await page.getByRole("button", { name: "Включить второй фактор" }).click();
  const picture = await page.locator(".factor-code").boundingBox();
  assert.ok(picture.width >= 200 && Math.abs(picture.width - picture.height) < 5, "a square that a phone can read");
  await page.getByText("Не получается отсканировать").click();
  const secret = await page.locator("code").first().textContent();
  await page.getByLabel("Код из приложения").fill(code(secret));
  await page.getByRole("button", { name: "Включить", exact: true }).click();
  await page.getByRole("heading", { name: "Второй фактор включён" }).waitFor();
  await page.context().close();

  const door = await (await chrome.newContext({ baseURL: school.url })).newPage();
  await door.goto("/login");
  await door.fill("input[name=login]", "patimat");
  await door.fill("input[name=password]", password);
  await door.click("main button");
  await door.getByRole("heading", { name: "Код для входа" }).waitFor();
  await door.getByLabel("Шесть цифр из приложения").fill(code(secret, -9));
  await door.getByRole("button", { name: "Войти" }).click();
  await door.getByRole("alert").waitFor();
  // The next one: the code that switched it on is used up.
  await door.getByLabel("Шесть цифр из приложения").fill(code(secret, 1));
  await door.getByRole("button", { name: "Войти" }).click();
  await door.waitForURL("**/callbacks**");
  await door.context().close();
});
