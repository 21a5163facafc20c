// Our own player over <audio>: one at a time, its speed remembered. Without this file the browser's own controls stand there.

const SPEEDS = [1, 1.25, 1.5, 2];
let speed = Number(remembered("speed")) || 1;

/** What this browser remembers; a private window may remember nothing. */
export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    /* it is as before next time */
  }
}

/** Changes the speed to this one, or to the next of them. */
export function changeSpeed(to = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length]) {
  speed = to;
  remember("speed", speed);
  dress();
}

/** Gives every player that has come onto the page its buttons. */
export function dress() {
  for (const sound of document.querySelectorAll(".sound")) {
    const audio = sound.querySelector("audio");
    audio.controls = false;
    audio.playbackRate = audio.defaultPlaybackRate = speed;
    sound.querySelector(".player").hidden = false;
    for (const button of sound.querySelectorAll("[data-speed]")) button.ariaPressed = String(Number(button.dataset.speed) === speed);
  }
}

/** Plays or stops the message of this place: the one that plays or waits half-heard, else the first. */
export function listen(place) {
  const players = [...place.querySelectorAll("audio")];
  const begun = players.find((player) => !player.paused) ?? players.find((player) => player.currentTime > 0 && !player.ended);
  return toggle(begun ?? players[0]);
}

function toggle(player) {
  if (!player) return false;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
  return true;
}

/** Goes on or back by so many seconds in what plays, or in the first message of this place. */
export function skip(place, seconds) {
  const players = [...place.querySelectorAll("audio")];
  const player = players.find((player) => !player.paused) ?? players.find((player) => player.currentTime > 0) ?? players[0];
  if (!player) return false;
  player.currentTime = Math.max(0, player.currentTime + seconds);
  return true;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".player button, .player .wave");
  if (!button) return;
  const sound = button.closest(".sound");
  const audio = sound.querySelector("audio");
  if (button.dataset.speed) changeSpeed(Number(button.dataset.speed));
  else if (button.dataset.skip) skip(sound, Number(button.dataset.skip));
  else if (button.matches(".wave")) {
    const { left, width } = button.getBoundingClientRect();
    audio.currentTime = ((event.clientX - left) / width) * (audio.duration || Number(sound.dataset.seconds));
  } else toggle(audio);
});

// Media events do not bubble: they are caught on their way down.
for (const name of ["play", "pause", "ended", "timeupdate", "seeked"]) {
  document.addEventListener(
    name,
    (event) => {
      const audio = event.target;
      const sound = audio.closest?.(".sound");
      if (!sound) return;
      if (name === "play") for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
      sound.classList.toggle("playing", !audio.paused);
      sound.querySelector(".player button").ariaLabel = audio.paused ? "Слушать" : "Пауза";
      const length = audio.duration || Number(sound.dataset.seconds) || 1;
      const box = sound.querySelector(".wave")?.viewBox.baseVal.width ?? 0;
      sound.querySelector(".heard")?.setAttribute("width", String((box * audio.currentTime) / length));
    },
    true,
  );
}

dress();
