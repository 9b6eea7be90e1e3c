// What is written and not saved yet survives a reload and the back button: in this window only, until it is saved.

const PREFIX = "emotrace draft ";
const SENT = "emotrace sent";
/** @type {HTMLFormElement | null} */
const form = document.querySelector("#form");
const own = PREFIX + (form?.dataset.draft ?? "");

/** @param {string} name */
const isAnswer = (name) => /^(label|second|cannot_tell|certainty|comment|flag|mark-\d+|dim-\w+|head-\w+)$/.test(name);

function keep() {
  if (!form) return;
  const answers = [...new FormData(form)].filter(([name]) => isAnswer(name));
  sessionStorage.setItem(own, JSON.stringify(answers));
}

/** @param {[string, string][]} answers */
function putIn(answers) {
  const given = new Map(answers);
  for (const field of form?.elements ?? []) {
    const ticked = field instanceof HTMLInputElement && ["radio", "checkbox"].includes(field.type);
    if (ticked && isAnswer(field.name)) field.checked = given.get(field.name) === field.value;
    else if (field instanceof HTMLInputElement && isAnswer(field.name)) field.value = given.get(field.name) ?? "";
    else if (field instanceof HTMLSelectElement || field instanceof HTMLTextAreaElement) {
      field.value = given.get(field.name) ?? "";
    }
  }
}

/** Puts a draft of this very page back, unless the server has just sent the form back itself. */
export function restoreDraft() {
  const sent = sessionStorage.getItem(SENT);
  if (sent && sent !== own) sessionStorage.removeItem(sent); // another page came after it: it was taken
  sessionStorage.removeItem(SENT);
  if (!form) return;
  const text = sessionStorage.getItem(own);
  if (text && !document.querySelector("[role=alert]")) putIn(JSON.parse(text));
  form.addEventListener("input", keep);
  form.addEventListener("submit", () => {
    keep();
    sessionStorage.setItem(SENT, own);
  });
}
