// A school for one test file: the real program on a loopback port with a rehearsal's clock, a provider that calls its lines
// with signed webhooks and keeps spoken messages, and officers who can sign in. Everything is in a temporary folder.

import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = process.env.PEREZVON ?? join(ROOT, "target/debug/perezvon");
/** Unpacked by tests/asterisk/install. */
const SOUNDS = join(ROOT, "target/asterisk/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU");
const TOKEN = "00000000000000000000000000000000";
const ACCOUNT = "AC1";

/** Friday after hours: everybody who calls now belongs to Monday's list. */
export const FRIDAY_EVENING = "2026-11-20T19:30:00+03:00";
/** Monday, soon after the lines opened. */
export const MONDAY_MORNING = "2026-11-23T09:12:00+03:00";

export const STAFF = "+79288036355";
export const PARENTS = "+79288328088";

/** Spoken Russian of some seconds each, at telephone quality. */
const SPEECH = ["vm-intro", "vm-rec-unv", "queue-youarenext", "vm-review", "tt-allbusy"];

export function speech(number) {
  const file = join(SOUNDS, `${SPEECH[number % SPEECH.length]}.wav`);
  if (!existsSync(file)) throw new Error(`${file} is missing: run tests/asterisk/install`);
  return readFileSync(file);
}

/** `number` callers, a message each, on both lines in turn. */
export function callers(number) {
  return Array.from({ length: number }, (_, n) => ({
    from: `+7928100${String(n).padStart(4, "0")}`,
    to: n % 2 ? PARENTS : STAFF,
    sound: speech(n),
  }));
}

async function listening(server) {
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const port = await listening(server);
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Waits for what a worker or another process does; the limit only ends a test that would hang. */
export async function until(what, question, limitMs = 300_000) {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`still not: ${what}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

export class School {
  /** Opens it on Friday evening with nobody on the list. */
  static async open({ config = "" } = {}) {
    const school = new School();
    school.folder = mkdtempSync(join(tmpdir(), "perezvon-browser-"));
    school.sounds = new Map();
    school.exchange = createServer((request, response) => school.#exchange(request, response));
    const exchange = await listening(school.exchange);
    const port = await freePort();
    school.url = `http://127.0.0.1:${port}`;
    school.base = `http://127.0.0.1:${exchange}/2010-04-01`;
    school.config = join(school.folder, "perezvon.toml");
    writeFileSync(
      school.config,
      `[server]
listen = "127.0.0.1:${port}"
public_url = "${school.url}"
[storage]
database = "sqlite:${school.folder}/perezvon.db"
recordings = "${school.folder}/recordings"
[[providers]]
name = "twilio"
kind = "twiml"
signature = "twilio"
account_sid = "${ACCOUNT}"
auth_tokens = ["${TOKEN}"]
api_base = "${school.base}"
recording_hosts = ["127.0.0.1"]
${config}`,
    );
    await school.start(FRIDAY_EVENING);
    return school;
  }

  /** Friday evening's callers, then Monday morning: the officer's list. */
  static async onMonday(calls, options) {
    const school = await School.open(options);
    for (const call of calls) await school.call(call);
    await school.fetched();
    await school.stop();
    await school.start(MONDAY_MORNING);
    return school;
  }

  async start(at) {
    const child = spawn(PROGRAM, ["serve", "--config", this.config, "--rehearse-at", at], {
      cwd: this.folder,
      env: { ...process.env, PEREZVON_LOG: "perezvon=info" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child = child;
    const told = [];
    await new Promise((ready, failed) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        told.push(line);
        if (line.includes("Listening at http://")) ready();
      });
      child.once("exit", (code) => failed(new Error(`perezvon ended with ${code}:\n${told.join("\n")}`)));
    });
    child.removeAllListeners("exit");
  }

  async stop(signal = "SIGTERM") {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((ended) => child.once("exit", ended));
    child.kill(signal);
    await gone;
  }

  async close() {
    await this.stop("SIGKILL");
    this.exchange.closeAllConnections?.();
    await new Promise((closed) => this.exchange.close(closed));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #run(...words) {
    return execFileSync(PROGRAM, [...words, "--config", this.config], { cwd: this.folder, encoding: "utf8" });
  }

  /** An officer of this role; the answer is the password. */
  officer(name, login, role) {
    const told = this.#run("officer", "add", name, "--login", login, "--role", role);
    return told.match(/Пароль: (\S+)/)[1];
  }

  /** A bearer token of this role for questions to the API. */
  token(role) {
    return this.#run("token", "add", "проверка", "--role", role).match(/Ключ: (\S+)/)[1];
  }

  async api(path) {
    this.key ??= this.token("admin");
    const answer = await fetch(`${this.url}/api/v1/${path}`, { headers: { authorization: `Bearer ${this.key}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** All callbacks of all periods, page after page. */
  async callbacks(query = "") {
    const items = [];
    for (let cursor = ""; cursor !== null; ) {
      const page = await this.api(`callbacks?period=all${query}${cursor && `&cursor=${cursor}`}`);
      items.push(...page.items);
      cursor = page.next_cursor ?? null;
    }
    return items;
  }

  async #post(endpoint, form) {
    const body = new URLSearchParams(form);
    const address = `${this.url}/webhooks/twilio/${endpoint}`;
    const signed = Object.keys(form).sort().reduce((text, name) => text + name + form[name], address);
    const answer = await fetch(address, {
      method: "POST",
      headers: { "x-twilio-signature": createHmac("sha1", TOKEN).update(signed).digest("base64") },
      body,
    });
    if (!answer.ok) throw new Error(`${endpoint}: ${answer.status} ${await answer.text()}`);
    return answer.text();
  }

  #calls = 0;

  /** One caller: rings, perhaps leaves `sound` (WAV, 16 bit, 8 kHz, mono), hangs up. Without a number the caller withholds it. */
  async call({ from = "", to = PARENTS, sound }) {
    const sid = `CA${++this.#calls}`;
    const form = { CallSid: sid, AccountSid: ACCOUNT, From: from || "anonymous", To: to, Direction: "inbound" };
    const heard = await this.#post("voice", { ...form, CallStatus: "ringing" });
    const over = { ...form, CallStatus: "completed" };
    if (sound) {
      const recording = `RE${sid}`;
      this.sounds.set(recording, sound);
      await this.#post("recording", {
        ...over,
        RecordingSid: recording,
        RecordingUrl: `${this.base}/Accounts/${ACCOUNT}/Recordings/${recording}`,
        RecordingDuration: String(Math.floor((sound.length - 44) / 16_000)),
        RecordingStatus: "completed",
      });
    }
    await this.#post("status", over);
    return heard;
  }

  /** Until every message is on our own disk. */
  async fetched() {
    await until("all messages fetched", async () => {
      const messages = (await this.callbacks()).flatMap((callback) => callback.voicemails);
      return messages.every((message) => message.state !== "pending");
    });
  }

  #exchange(request, response) {
    const recording = request.url.match(/Recordings\/([A-Za-z0-9]+)/)?.[1];
    const sound = this.sounds.get(recording);
    if (request.method === "DELETE") {
      this.sounds.delete(recording);
      response.writeHead(204).end();
    } else if (sound) {
      response.writeHead(200, { "content-type": "audio/x-wav", "content-length": sound.length }).end(sound);
    } else {
      response.writeHead(404).end();
    }
  }
}
