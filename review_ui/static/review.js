// Keys and player of the review page. Everything here is a convenience: the page works without it.
// The one list of keys is the page itself: every element with data-key is what its key operates.

// A nominal frame: the clip's own frame times are not on the page, so a step may hit or miss a frame.
const FRAME_S = 1 / 25;

/** @type {HTMLMediaElement | null} */
const clip = document.querySelector("#clip");
const keyed = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-key]")]);
const claims = /** @type {HTMLFieldSetElement[]} */ ([...document.querySelectorAll("[data-claim]")]);
let stopAt = Infinity; // where a span that plays must stop

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

/** @param {number} start @param {number} end */
function playSpan(start, end) {
  if (!clip) return;
  clip.currentTime = start;
  stopAt = Math.max(end, start + FRAME_S);
  play();
}

/** @param {number} by */
function seek(by) {
  if (!clip) return;
  stopAt = Infinity;
  clip.currentTime = Math.min(Math.max(clip.currentTime + by, 0), clip.duration || 0);
}

// --- claims ----------------------------------------------------------------------------------------

function currentClaim() {
  return claims.find((claim) => !claim.querySelector("[data-mark]:checked")) ?? claims.at(-1);
}

function frameCurrentClaim() {
  const current = currentClaim();
  for (const claim of claims) {
    if (claim === current) claim.setAttribute("aria-current", "step");
    else claim.removeAttribute("aria-current");
  }
}

/** @param {string} key */
function markClaim(key) {
  const claim = currentClaim();
  claim?.querySelector(`[data-mark="${key}"]`)?.click();
  currentClaim()?.scrollIntoView({ block: "nearest" });
}

for (const claim of claims) {
  claim.addEventListener("change", () => {
    const verdict = claim.querySelector("details");
    if (verdict) verdict.open = true;
    frameCurrentClaim();
  });
}

// --- buttons ---------------------------------------------------------------------------------------

/** @type {Record<string, (button: HTMLElement) => void>} */
const actions = {
  play() {
    if (!clip) return;
    stopAt = Infinity;
    if (clip.paused) play();
    else clip.pause();
  },
  seek: (button) => seek(Number(button.dataset.by)),
  frame(button) {
    clip?.pause();
    seek(Number(button.dataset.by) * FRAME_S);
  },
  span: () => currentClaim()?.querySelector(".span")?.click(),
  mark: (button) => markClaim(button.dataset.key ?? ""),
  help: showHelp,
};

document.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const button = target.closest("[data-action]");
  if (button instanceof HTMLElement) actions[button.dataset.action ?? ""]?.(button);
  const span = target.closest(".span, .word");
  if (span instanceof HTMLElement && clip) {
    event.preventDefault();
    playSpan(Number(span.dataset.start), Number(span.dataset.end));
  }
  // A mouse click leaves the focus on the radio button, where the arrow keys would change the label.
  if (target instanceof HTMLInputElement && target.type === "radio" && event.detail > 0) target.blur();
});

// --- keys ------------------------------------------------------------------------------------------

const WRITES = "textarea, select, input:not([type=radio]):not([type=checkbox])";
const OWN_KEYS = "a, button, summary, input"; // what does something itself on Enter, Space or an arrow

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (target.closest(WRITES) || document.querySelector("dialog[open]")) return;
  const name = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (target.closest(OWN_KEYS) && (name === "Space" || name.startsWith("Arrow"))) return;
  if (target.closest("a, button, summary") && name === "Enter") return;
  const element = keyed.find((candidate) => candidate.dataset.key === name);
  if (!element || (event.repeat && !(element.dataset.action === "seek" || element.dataset.action === "frame"))) return;
  event.preventDefault();
  if (element instanceof HTMLTextAreaElement) element.focus();
  else element.click();
}

// Captured, because the browser's own player would take Space and the arrows as well.
document.addEventListener("keydown", onKey, { capture: true });

function showHelp() {
  const dialog = /** @type {HTMLDialogElement} */ (document.querySelector("#help"));
  const list = /** @type {HTMLElement} */ (document.querySelector("#help-keys"));
  list.replaceChildren(
    ...keyed.flatMap((element) => {
      const key = document.createElement("dt");
      const name = document.createElement("dd");
      const holder = element.closest("label, button") ?? document.querySelector(`label[for="${element.id}"]`);
      const printed = holder?.querySelector("kbd")?.textContent ?? (element.dataset.key ?? "").toUpperCase();
      const shown = document.createElement("kbd");
      shown.textContent = printed;
      key.append(shown);
      name.textContent = [...(holder?.childNodes ?? [])]
        .filter((node) => !(node instanceof Element && node.tagName === "KBD"))
        .map((node) => node.textContent)
        .join("")
        .trim();
      return [key, name];
    }),
  );
  dialog.showModal();
}

// --- clock, words, target ---------------------------------------------------------------------------

function drawTime() {
  if (!clip) return;
  if (clip.currentTime >= stopAt) {
    clip.pause();
    stopAt = Infinity;
  }
  const clock = document.querySelector("#clock");
  if (clock) clock.textContent = `${clockText(clip.currentTime)} / ${clockText(clip.duration || 0)}`;
  for (const word of document.querySelectorAll(".word")) {
    const { start, end } = /** @type {HTMLElement} */ (word).dataset;
    word.classList.toggle("now", clip.currentTime >= Number(start) && clip.currentTime < Number(end));
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
clip?.addEventListener("loadedmetadata", drawTarget);
window.addEventListener("resize", drawTarget);
for (const element of document.querySelectorAll(".needs-js")) /** @type {HTMLElement} */ (element).hidden = false;
frameCurrentClaim();
drawTime();
drawTarget();

// A live region speaks only when its text changes after the page is there.
const status = document.querySelector("#status");
if (status?.textContent) {
  const text = status.textContent;
  status.textContent = "";
  setTimeout(() => (status.textContent = text), 150);
}
