// Keys. The one list of them is the page itself: every element with data-key is what its key operates.

const keyed = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-key]")]);
const WRITES = "textarea, select, input:not([type=radio]):not([type=checkbox])";
const OWN_KEYS = "a, button, summary, input"; // what does something itself on Enter, Space or an arrow
const REPEATED = ["seek", "frame"]; // what goes on while its key is held

/** Esc leaves a field, Ctrl+Enter saves from inside it. @param {KeyboardEvent} event @param {HTMLElement} field */
function onKeyInField(event, field) {
  if (event.key === "Escape") field.blur();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) {
    event.preventDefault();
    field.closest("form")?.requestSubmit();
  }
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (target.closest(WRITES)) return onKeyInField(event, target);
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const name = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (target.closest(OWN_KEYS) && (name === "Space" || name.startsWith("Arrow"))) return;
  if (target.closest("a, button, summary") && name === "Enter") return;
  const element = keyed.find((candidate) => candidate.dataset.key === name);
  if (!element || (event.repeat && !REPEATED.includes(element.dataset.action ?? ""))) return;
  event.preventDefault();
  if (element.matches(WRITES)) element.focus();
  else element.click();
}

// Captured, because the browser's own player would take Space and the arrows as well.
document.addEventListener("keydown", onKey, { capture: true });

export function showHelp() {
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
