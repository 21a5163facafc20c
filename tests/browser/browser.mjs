// A headless Chromium for one test file, and what the tests ask of a page.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Of the path, as a shell finds it; the variable names another one. */
function installed() {
  const found = process.env.CHROMIUM ?? process.env.PATH.split(":").map((folder) => join(folder, "chromium")).find(existsSync);
  if (!found) throw new Error("there is no chromium in PATH: apt-get install chromium, or name the browser in CHROMIUM");
  return found;
}

export async function browser() {
  return chromium.launch({
    executablePath: installed(),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
}

/** In the page: writes down what is dialled instead of dialling, for `tel:` has no program here. */
function noteDialled() {
  globalThis.dialled = [];
  const note = (event) => {
    const link = event.target.closest?.('a[href^="tel:"]');
    if (!link) return;
    globalThis.dialled.push(link.getAttribute("href"));
    event.preventDefault();
  };
  globalThis.addEventListener("click", note, true);
}

/** What was dialled on this page. */
export function dialled(page) {
  return page.evaluate(() => globalThis.dialled);
}

/** A page of an officer who has signed in. `options` are those of a browser context. */
export async function signedIn(chrome, school, login, password, options = {}) {
  const context = await chrome.newContext({ baseURL: school.url, viewport: { width: 1366, height: 768 }, reducedMotion: "reduce", ...options });
  // Only ends a test that would hang: a busy machine takes its time.
  context.setDefaultTimeout(180_000);
  if (options.javaScriptEnabled !== false) await context.addInitScript(noteDialled);
  const page = await context.newPage();
  await page.goto("/login");
  await page.fill("input[name=login]", login);
  await page.fill("input[name=password]", password);
  await page.click("main button");
  await page.waitForURL("**/callbacks**");
  return page;
}

/** What the key with this code writes under the Russian layout. */
const CYRILLIC = {
  KeyA: "ф", KeyD: "в", KeyE: "у", KeyJ: "о", KeyK: "л", KeyN: "т", KeyO: "щ", KeyP: "з", KeyR: "к", KeyS: "ы", KeyZ: "я",
  Slash: ".",
};

/** Presses one physical key, as a keyboard with the Russian layout does. Counted in `presses`. */
export class Keyboard {
  constructor(page, { cyrillic = false } = {}) {
    this.page = page;
    this.cyrillic = cyrillic;
    this.presses = 0;
  }

  async press(code) {
    this.presses += 1;
    const key = this.cyrillic && CYRILLIC[code];
    if (!key) return this.page.keyboard.press(code);
    this.session ??= await this.page.context().newCDPSession(this.page);
    await this.session.send("Input.dispatchKeyEvent", { type: "keyDown", code, key, text: key, unmodifiedText: key });
    await this.session.send("Input.dispatchKeyEvent", { type: "keyUp", code, key });
  }
}

/** What axe-core finds wrong with the page as it stands: one line for each fault and place. */
export async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}`));
}

/** How far the page is wider than its window, CSS pixels. */
export function overhang(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

/** The entry in hand: the id of its callback. */
export function inHand(page) {
  return page.evaluate(() => (document.activeElement?.closest(".card") ?? document.querySelector("details.card[open]"))?.id.slice(1));
}
