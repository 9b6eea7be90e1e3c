// The review page. Everything here is a convenience: the page works without it.

import { frameFirstOpen, markFramed, moveFrame, playFramed } from "./claims.js";
import { restoreDraft } from "./drafts.js";
import { showHelp } from "./keys.js";
import { changeSpeed, clip, playSpan, seek, stepFrame, toggleLoop, togglePlay } from "./player.js";
import { sayWhatThePageSays } from "./status.js";

/** @type {Record<string, (button: HTMLElement) => void>} */
const actions = {
  play: togglePlay,
  seek: (button) => seek(Number(button.dataset.by)),
  frame: (button) => stepFrame(Number(button.dataset.by)),
  speed: (button) => changeSpeed(Number(button.dataset.by)),
  loop: toggleLoop,
  span: playFramed,
  claim: (button) => moveFrame(Number(button.dataset.by)),
  mark: (button) => markFramed(button.dataset.key ?? ""),
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

for (const element of document.querySelectorAll(".needs-js")) /** @type {HTMLElement} */ (element).hidden = false;
restoreDraft();
frameFirstOpen();
sayWhatThePageSays();
