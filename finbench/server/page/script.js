"use strict";
// One request at a time; every text enters the page as text, never as markup.
const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function scoreLine(label, share, kind) {
  const line = element("div", undefined, kind);
  const bar = element("progress");
  bar.max = 1;
  bar.value = share;
  bar.setAttribute("aria-label", `${label}: ${percent(share)}`);
  line.append(element("span", label), bar, element("span", percent(share), "number"));
  return line;
}

function showOne(found) {
  const rest = Object.entries(found.scores).filter(([label]) => label !== found.label);
  rest.sort((one, other) => other[1] - one[1]);
  byId("result").replaceChildren(
    element("p", found.label, "verdict"),
    ...(found.confidence === null ? [] : [scoreLine("confidence", found.confidence, "score")]),
    ...rest.map(([label, share]) => scoreLine(label, share, "score rest")),
  );
}

function showSeveral(texts, results) {
  const table = element("table");
  const head = element("tr");
  for (const title of ["Text", "Label", "Confidence"]) {
    const cell = element("th", title);
    cell.scope = "col";
    head.append(cell);
  }
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  results.forEach((found, place) => {
    const row = element("tr");
    row.append(
      element("td", texts[place], "text"), element("td", found.label), element("td", found.confidence === null ? "" : percent(found.confidence), "number"),
    );
    table.tBodies[0].append(row);
  });
  const scroll = element("div", undefined, "scroll");
  scroll.append(table);
  byId("result").replaceChildren(scroll);
}

function remember(texts, results) {
  results.forEach((found, place) => {
    byId("entries").prepend(element("li", `${found.label}${found.confidence === null ? "" : `, ${percent(found.confidence)}`}: ${texts[place]}`));
  });
  byId("history").hidden = false;
}

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = false;
  byId("result").hidden = true;
}

async function ask(texts) {
  const body = texts.length === 1 ? { text: texts[0] } : { texts };
  if (!byId("adapters").hidden) body.adapter = byId("adapter").value;
  const answer = await fetch("/analyze", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const found = await answer.json().catch(() => ({}));  // a proxy in between may answer with a page
  if (!answer.ok) throw new Error(found.detail || `The server answered ${answer.status}.`);
  return texts.length === 1 ? [found] : found.results;
}

async function analyze() {
  const texts = byId("text").value.split("\n").map((line) => line.trim()).filter((line) => line);
  if (!texts.length) {
    problem("There is no text yet: type or paste one, or choose an example.");
    byId("text").focus();
    return;
  }
  const button = byId("go");
  button.disabled = true;
  button.textContent = "Analyzing…";
  byId("result").setAttribute("aria-busy", "true");
  byId("problem").hidden = true;
  try {
    const results = await ask(texts);
    if (results.length === 1) showOne(results[0]);
    else showSeveral(texts, results);
    byId("result").hidden = false;
    remember(texts, results);
  } catch (error) {
    const gone = error instanceof TypeError;
    problem(gone ? "The server cannot be reached. Is it still running? Your text is kept; try again." : error.message);
  } finally {
    button.disabled = false;
    button.textContent = "Analyze";
    byId("result").removeAttribute("aria-busy");
  }
}

async function about() {
  try {
    const offered = await (await fetch("/health")).json();
    byId("about").textContent = (offered.labels.length ? `Choose between ${offered.labels.join(", ")}; ` : "") + `task ${offered.task}.`;
    for (const name of offered.adapters) byId("adapter").append(element("option", name));
    byId("adapters").hidden = offered.adapters.length < 2;
  } catch {
    byId("about").textContent = "The server cannot be reached.";
  }
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  analyze();
});
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit();
});
byId("clear").addEventListener("click", () => {
  byId("text").value = "";
  byId("result").hidden = true;
  byId("problem").hidden = true;
  byId("text").focus();
});
for (const button of document.querySelectorAll(".example")) {
  button.addEventListener("click", () => {
    byId("text").value = button.textContent;
    byId("form").requestSubmit();
  });
}
about();
