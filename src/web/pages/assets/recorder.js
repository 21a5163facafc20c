// Records a greeting in the browser and puts it into the file field of its form, as a WAV file. Without this file, or
// without a microphone, a file is chosen as usual.

const COUNTDOWN = 3;

const WORDS = {
  NotAllowedError: "Браузер не дал доступ к микрофону. Разрешите его в настройках сайта и нажмите «Записать» ещё раз.",
  NotFoundError: "Микрофон не найден. Подключите его или выберите файл.",
  NotReadableError: "Микрофон занят другой программой. Закройте её и нажмите «Записать» ещё раз.",
};
const FAILED = "Записать не удалось. Выберите файл.";
const INSECURE = "Запись в браузере работает только по https. Выберите файл.";

/** A WAV file: one channel, 16 bits. */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, word) => [...word].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + samples.length * 2, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, rate * 2, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, n) => view.setInt16(44 + n * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new File([view], "запись.wav", { type: "audio/wav" });
}

const joined = (pieces) => {
  const all = new Float32Array(pieces.reduce((length, piece) => length + piece.length, 0));
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.length), 0);
  return all;
};

function prepare(box) {
  const input = box.closest("form").elements.sound;
  const longest = Number(box.dataset.seconds);
  const [record, listen, discard] = ["record", "listen", "discard"].map((name) => box.querySelector(`[data-do=${name}]`));
  const status = box.querySelector("[role=status]");
  const say = (words) => { status.textContent = words; };
  let context, stream, pieces = [], stop, playing;

  input.addEventListener("change", () => {
    const large = input.files[0]?.size > Number(input.dataset.largest);
    input.setCustomValidity(large ? "Файл больше 10 МБ." : "");
  });

  async function begin() {
    if (!navigator.mediaDevices) return say(INSECURE);
    forget();
    let over = false;
    const waits = [];
    // While it counts down, and while it records, the same button stops.
    stop = () => { over = true; waits.forEach((done) => done()); };
    record.textContent = "Стоп";
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
      context = new AudioContext();
      await context.audioWorklet.addModule(new URL("./recorder-tap.js", import.meta.url));
      const pause = (ms) => new Promise((done) => { waits.push(done); setTimeout(done, ms); });
      for (let n = COUNTDOWN; n > 0 && !over; n -= 1) {
        say(`Говорите через ${n}`);
        await pause(1000);
      }
      const tap = new AudioWorkletNode(context, "tap");
      tap.port.onmessage = ({ data }) => { if (!over) pieces.push(data); };
      context.createMediaStreamSource(stream).connect(tap).connect(context.destination);
      for (let n = 0; n < longest && !over; n += 1) {
        say(`Идёт запись: ${n} с из ${longest}`);
        await pause(1000);
      }
      over = true;
      finish();
    } catch (failed) {
      say(WORDS[failed.name] ?? FAILED);
    }
    stream?.getTracks().forEach((track) => track.stop());
    stop = undefined;
    record.textContent = "Записать";
  }

  function finish() {
    const samples = joined(pieces);
    if (samples.length === 0) return say("");
    const file = wav(samples, context.sampleRate);
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change"));
    listen.hidden = discard.hidden = false;
    say(`Записано: ${Math.round(samples.length / context.sampleRate)} с. Послушайте и загрузите.`);
    listen.focus();
  }

  function quiet() {
    playing?.stop();
    playing = undefined;
    listen.textContent = "Прослушать";
  }

  function play() {
    if (playing) return quiet();
    const samples = joined(pieces);
    const buffer = context.createBuffer(1, samples.length, context.sampleRate);
    buffer.copyToChannel(samples, 0);
    playing = context.createBufferSource();
    playing.buffer = buffer;
    playing.connect(context.destination);
    playing.onended = quiet;
    playing.start();
    listen.textContent = "Остановить";
  }

  function forget() {
    quiet();
    context?.close();
    context = undefined;
    pieces = [];
    listen.hidden = discard.hidden = true;
  }

  record.addEventListener("click", () => (stop ? stop() : begin()));
  listen.addEventListener("click", play);
  discard.addEventListener("click", () => {
    forget();
    input.value = "";
    say("Запись выброшена.");
    record.focus();
  });
  box.hidden = false;
}

document.querySelectorAll(".recorder").forEach(prepare);
