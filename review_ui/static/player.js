// The clip: playing, seeking, spans, speed, loop, the clock, the words and the target's frame.

// A nominal frame: the clip's own frame times are not on the page, so a step may hit or miss a frame.
const FRAME_S = 1 / 25;
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2];

/** @type {HTMLMediaElement | null} */
export const clip = document.querySelector("#clip");
const words = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".word")]);
/** @type {{start: number, end: number} | null} */
let span = null; // what plays alone, if not the whole clip
let looping = false;

/** @param {number} seconds */
function clockText(seconds) {
  const hundredths = Math.round(seconds * 100);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${Math.floor(hundredths / 6000)}:${rest}`;
}

function play() {
  // Refused before the first click of some browsers' users: then the person presses again.
  clip?.play().catch(() => {});
}

/** @param {{start: number, end: number} | null} next */
function setSpan(next) {
  span = next;
  if (clip) clip.loop = looping && !span; // a span is looped here, the whole clip by the browser
}

/** @param {number} start @param {number} end */
export function playSpan(start, end) {
  if (!clip) return;
  setSpan({ start, end: Math.max(end, start + FRAME_S) });
  clip.currentTime = start;
  play();
}

export function togglePlay() {
  if (!clip) return;
  if (!clip.paused) return clip.pause();
  if (!looping) setSpan(null);
  play();
}

/** @param {number} by seconds */
export function seek(by) {
  if (!clip) return;
  setSpan(null);
  clip.currentTime = Math.min(Math.max(clip.currentTime + by, 0), clip.duration || 0);
}

/** @param {number} by frames */
export function stepFrame(by) {
  clip?.pause();
  seek(by * FRAME_S);
}

/** @param {number} by places in the list of speeds */
export function changeSpeed(by) {
  if (!clip) return;
  const place = SPEEDS.indexOf(clip.playbackRate) + by;
  clip.playbackRate = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)];
  const shown = document.querySelector("#speed");
  if (shown) shown.textContent = `${clip.playbackRate} ×`;
}

/** @param {HTMLElement} button */
export function toggleLoop(button) {
  looping = !looping;
  button.setAttribute("aria-pressed", String(looping));
  setSpan(span);
}

function endSpan() {
  if (!clip || !span) return;
  if (looping) {
    clip.currentTime = span.start;
    play();
  } else {
    clip.pause();
    setSpan(null);
  }
}

/** @param {HTMLElement} word */
function keepInSight(word) {
  const list = word.parentElement;
  if (!list) return; // the list alone is scrolled: the page stays where the person reads
  const below = word.offsetTop + word.offsetHeight - (list.scrollTop + list.clientHeight);
  if (below > 0) list.scrollTop += below;
  else if (word.offsetTop < list.scrollTop) list.scrollTop = word.offsetTop;
}

function drawTime() {
  if (!clip) return;
  if (span && !clip.paused && !clip.seeking && clip.currentTime >= span.end) endSpan();
  const clock = document.querySelector("#clock");
  if (clock) clock.textContent = `${clockText(clip.currentTime)} / ${clockText(clip.duration || 0)}`;
  for (const word of words) {
    const now = clip.currentTime >= Number(word.dataset.start) && clip.currentTime < Number(word.dataset.end);
    if (now && !word.classList.contains("now")) keepInSight(word);
    word.classList.toggle("now", now);
  }
  if (!clip.paused) requestAnimationFrame(drawTime);
}

/** Puts the target's frame over the picture, which may be narrower or lower than the video element. */
function drawTarget() {
  const box = /** @type {HTMLElement | null} */ (document.querySelector("#target-box"));
  if (!box || !(clip instanceof HTMLVideoElement) || !clip.videoWidth) return;
  const scale = Math.min(clip.clientWidth / clip.videoWidth, clip.clientHeight / clip.videoHeight);
  const width = clip.videoWidth * scale;
  const height = clip.videoHeight * scale;
  const left = clip.offsetLeft + (clip.clientWidth - width) / 2;
  const top = clip.offsetTop + (clip.clientHeight - height) / 2;
  const [x, y, w, h] = (box.dataset.box ?? "").split(" ").map(Number);
  box.style.left = `${left + x * width}px`;
  box.style.top = `${top + y * height}px`;
  box.style.width = `${w * width}px`;
  box.style.height = `${h * height}px`;
  box.hidden = false;
}

// The browser's own controls lie over the lower part of the picture, often the mouth: only under the pointer.
if (clip instanceof HTMLVideoElement) {
  clip.controls = false;
  clip.addEventListener("pointerenter", () => (clip.controls = true));
  clip.addEventListener("pointerleave", () => (clip.controls = false));
}
for (const name of ["play", "pause", "seeked", "loadedmetadata"]) clip?.addEventListener(name, drawTime);
clip?.addEventListener("ended", endSpan); // a span may reach to the very end, which comes before its time is seen
clip?.addEventListener("loadedmetadata", drawTarget);
window.addEventListener("resize", drawTarget);
drawTime();
drawTarget();
