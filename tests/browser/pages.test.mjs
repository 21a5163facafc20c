// Every page, full and empty, wide and narrow, light and dark: no fault that axe-core finds, no sideways scrolling, nothing
// from another host, nothing but Russian on the screen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, faults, overhang, signedIn } from "./browser.mjs";
import { School, callers } from "./school.mjs";

const PAGES = [
  "/callbacks",
  "/callbacks?show=all",
  "/callbacks?show=later",
  "/callbacks?show=done",
  "/callbacks?line=staff",
  "/callbacks/new",
  "/callbacks/print",
  "/calls",
  "/calls?number=9999",
  "/reports",
  "/reports/sheet",
  "/calendar",
  "/prompts",
  "/lines",
  "/people",
  "/audit",
  "/health-ui",
  "/me",
  "/keine-seite",
];
const FOR_ALL = ["/", "/poster", "/login"];

/** Words that are not Russian and are right: names of formats, keys, programs, providers, and the login of these tests. */
const FOREIGN =
  /^(XLSX|CSV|WAV|MP3|OGG|M4A|JSON|PDF|ICS|ics|UTC|QR|POST|Enter|Ctrl|Page|Up|Down|[A-Z]|Esc|Chrome|admin|twilio|dB|SMTP|HTTP|HTTPS|URL|A-law|TOTP)$/;

let full, empty, chrome;

before(async () => {
  const calls = [...callers(12), { from: "" }, { from: "+4930231250421234", to: "+79999999999" }, { from: "+79281009999" }];
  [full, empty, chrome] = await Promise.all([School.onMonday(calls), School.onMonday([]), browser()]);
  for (const school of [full, empty]) school.password = school.officer("Завуч А.", "admin", "admin");
});

after(async () => {
  await chrome?.close();
  await full?.close();
  await empty?.close();
});

/** The words on the screen that are neither Russian nor known. Numbers, addresses and what people typed are left out. */
function foreignWords(text) {
  return text
    .replace(/https?:\/\/\S+|\S+@\S+|\S+\.(ru|org|toml|md)\S*|\/\S+/g, " ")
    .split(/[^\p{L}\d_-]+/u)
    .filter((word) => /[A-Za-z]/.test(word) && !/\d/.test(word) && !FOREIGN.test(word));
}

for (const [what, school] of [
  ["full", () => full],
  ["empty", () => empty],
]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`every page of a ${what} house can be used by everybody, ${colorScheme}`, async () => {
      const problems = [];
      const page = await signedIn(chrome, school(), "admin", school().password, { colorScheme });
      page.on("request", (request) => {
        const url = new URL(request.url());
        const own = url.origin === school().url || ["data:", "blob:"].includes(url.protocol);
        if (!own) problems.push(`${page.url()} asks another host: ${request.url()}`);
      });
      page.on("pageerror", (error) => problems.push(`${page.url()}: ${error}`));
      for (const address of [...PAGES, ...FOR_ALL]) {
        const answer = await page.goto(address);
        const wrong = (what) => problems.push(`${address}: ${what}`);
        if (answer.status() !== (address === "/keine-seite" ? 404 : 200)) wrong(`status ${answer.status()}`);
        const policy = answer.headers()["content-security-policy"] ?? "";
        if (!policy.includes("default-src") || /unsafe-(inline|eval)/.test(policy)) wrong(`policy «${policy}»`);
        for (const width of [1366, 360]) {
          await page.setViewportSize({ width, height: 768 });
          for (const fault of await faults(page)) wrong(`at ${width}: ${fault}`);
        }
        // 683 is 1366 at 200 %.
        for (const width of [320, 360, 683, 768, 1366]) {
          await page.setViewportSize({ width, height: 768 });
          const over = await overhang(page);
          if (over > 0) wrong(`${over} px wider than ${width}`);
        }
        const words = foreignWords(await page.evaluate(() => document.body.innerText));
        if (words.length) wrong(`not Russian: ${[...new Set(words)].join(" ")}`);
      }
      assert.deepEqual(problems, []);
      await page.context().close();
    });
  }
}

test("all stylesheets and scripts together are at most 30 kB compressed", async () => {
  const page = await signedIn(chrome, full, "admin", full.password);
  const found = new Map();
  const loads = [];
  const weigh = (response) => {
    if (!response.url().includes("/assets/")) return;
    loads.push(response.request().sizes().then((sizes) => found.set(response.url(), sizes.responseBodySize)));
  };
  page.on("response", weigh);
  for (const address of PAGES) await page.goto(address);
  // Whatever the last page still fetches by itself would be weighed when the browser is closed.
  page.off("response", weigh);
  await Promise.all(loads);
  // An asset that was already kept is asked for no more, so each counts with its first and largest size.
  const bytes = [...found.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(found.size > 0 && bytes <= 30 * 1024, `${bytes} bytes: ${[...found.keys()].join(" ")}`);
  await page.context().close();
});
