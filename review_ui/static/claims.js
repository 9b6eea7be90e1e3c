// Which claim the keys mean: the framed one, which the focus moves, and J and K.

import { say } from "./status.js";

const claims = /** @type {HTMLFieldSetElement[]} */ ([...document.querySelectorAll("[data-claim]")]);
/** @type {HTMLFieldSetElement | undefined} */
let framed; // undefined: all are marked, and none was chosen to be changed

/** @param {HTMLFieldSetElement} claim */
const isMarked = (claim) => claim.querySelector("[data-mark]:checked") !== null;

/** The next claim without a mark after this one, from the top again at the end. @param {number} after */
function nextOpen(after) {
  return [...claims.slice(after + 1), ...claims.slice(0, after + 1)].find((claim) => !isMarked(claim));
}

/** @param {HTMLFieldSetElement | undefined} next */
function frame(next) {
  framed = next;
  for (const claim of claims) {
    if (claim === framed) claim.setAttribute("aria-current", "step");
    else claim.removeAttribute("aria-current");
  }
}

/** @param {number} by */
export function moveFrame(by) {
  const from = framed ? claims.indexOf(framed) : by > 0 ? -1 : claims.length;
  const to = claims[Math.min(Math.max(from + by, 0), claims.length - 1)];
  // The focus would bring the frame back to where it was.
  if (document.activeElement instanceof HTMLElement && framed?.contains(document.activeElement)) {
    document.activeElement.blur();
  }
  frame(to);
  to?.scrollIntoView({ block: "nearest" });
}

/** @param {string} key */
export function markFramed(key) {
  const claim = framed;
  if (!claim) return say("All claims are marked. J and K lead back to one.");
  const focus = document.activeElement;
  if (focus instanceof HTMLElement && claim.contains(focus)) focus.blur();
  /** @type {HTMLInputElement | null} */
  const radio = claim.querySelector(`[data-mark="${key}"]`);
  if (radio?.checked) onMark(claim); // chosen once more: nothing changes, but the frame goes on
  radio?.click();
  framed?.scrollIntoView({ block: "nearest" });
}

export function playFramed() {
  /** @type {HTMLElement | null | undefined} */ (framed?.querySelector(".span"))?.click();
}

/** @param {HTMLFieldSetElement} claim */
function onMark(claim) {
  const verdict = claim.querySelector("details");
  if (verdict) verdict.open = true;
  frame(claim.contains(document.activeElement) ? claim : nextOpen(claims.indexOf(claim)));
}

for (const claim of claims) {
  claim.addEventListener("change", () => onMark(claim));
  claim.addEventListener("focusin", () => frame(claim));
}

/** After the marks were put in from elsewhere. */
export function frameFirstOpen() {
  frame(nextOpen(-1));
}
