// The one line of messages. A live region speaks only when its text changes after the page is there.

const SHOWN_MS = 4000;
const status = document.querySelector("#status");
let timer = 0;

/** @param {string} text */
export function say(text) {
  if (!status) return;
  clearTimeout(timer);
  status.textContent = text;
  timer = setTimeout(() => (status.textContent = ""), SHOWN_MS);
}

export function sayWhatThePageSays() {
  const text = status?.textContent?.trim();
  if (!status || !text) return;
  status.textContent = "";
  timer = setTimeout(() => say(text), 150); // what is said meanwhile is newer and stays
}
