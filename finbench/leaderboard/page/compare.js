// Two entries on the rows of their task: what each alone has right, an exact test, and the rows' outcomes without texts.
const outcomes = new Map(), chosen = { task: "", first: "", second: "" };
const VERDICTS = ["both right", "lost", "gained", "both wrong"];
const rowsShown = { most: STEP, which: "differ" };

function finbenchOutcomes(found) { outcomes.set(found.task.replace(/^fin_/, ""), found); } // called by the files of outcomes

function loaded(task) {
  if (outcomes.has(task)) return Promise.resolve(outcomes.get(task));
  return new Promise((resolve, reject) => {
    const script = element("script");
    script.src = encodeURIComponent(data.outcomes[task]);
    script.onload = () => outcomes.has(task) ? resolve(outcomes.get(task)) : reject(new Error(data.outcomes[task]));
    script.onerror = () => reject(new Error(data.outcomes[task]));
    document.head.append(script);
  });
}

const isChosen = (line) => chosen.task === line.task && [chosen.first, chosen.second].includes(line.id);
const lineOf = (id) => data.lines.find((line) => line.compared && line.id === id && line.task === chosen.task);

function choose(line) {
  if (chosen.task !== line.task) Object.assign(chosen, { task: line.task, first: "", second: "" });
  if (chosen.first === line.id) chosen.first = "";
  else if (chosen.second === line.id) chosen.second = "";
  else if (!chosen.first) chosen.first = line.id;
  else chosen.second = line.id;
  byId("comparison").open = true;
  drawPair();
  draw();
  if (chosen.first && chosen.second) byId("comparison").scrollIntoView({ block: "start" });
}

function options(list, values, now) {
  list.replaceChildren(...[["", "choose"], ...values].map(([value, title]) => {
    const option = element("option", title);
    option.value = value;
    return option;
  }));
  list.value = now;
}

function drawPair() {
  options(byId("pair-task"), Object.keys(data.outcomes).map((task) => [task, task]), chosen.task);
  const lines = data.lines.filter((line) => line.compared && line.task === chosen.task);
  const several = new Set(lines.map((line) => line.condition)).size > 1;
  const titled = lines.map((line) => [line.id, line.entry + (several ? ` (${letter(line.condition)})` : "")]);
  options(byId("first"), titled, chosen.first);
  options(byId("second"), titled, chosen.second);
  rowsShown.most = STEP;
  drawCompared();
}

function drawCompared() {
  byId("compared").replaceChildren();
  const say = (words) => { byId("verdict").textContent = words; };
  if (!Object.keys(data.outcomes).length) return say("No rows' outcomes come with this page.");
  if (!chosen.first || !chosen.second) return say(`Choose two entries of one task, here or in the table.${data.most}`);
  if (chosen.first === chosen.second) return say("These are one and the same.");
  const { task, first, second } = chosen;
  loaded(task).then((found) => {
    if (task !== chosen.task || first !== chosen.first || second !== chosen.second) return;
    const set = found.sets.find((one) => first in one.cells && second in one.cells);
    if (set) drawResult(set, compareRows(found, set, first, second), say);
    else say("These two were not scored on the same rows, so they cannot be compared.");
  }, (error) => say(`The rows' outcomes are in ${error.message}, which is not beside this page.`));
}

function decoded(found, set, letters) { // numbers of answers
  const numbers = [], base = found.letters.length;
  for (let at = 0; at < letters.length; at += set.width) {
    let number = 0;
    for (let place = 0; place < set.width; place++) number = number * base + found.letters.indexOf(letters[at + place]);
    numbers.push(number);
  }
  return numbers;
}

function compareRows(found, set, first, second) {
  const golds = decoded(found, set, set.golds), said = [first, second].map((id) => decoded(found, set, set.cells[id]));
  const right = [first, second].map((id, n) => set.right[id] ? [...set.right[id]].map((one) => one === "1")
    : said[n].map((answer, row) => answer === golds[row]));
  const ids = set.ids.split("\n"), times = [0, 0, 0, 0];
  const clusters = set.clusters ? set.clusters.split(" ").map(Number) : null;
  const rows = ids.map((id, n) => {
    const verdict = right[0][n] ? (right[1][n] ? 0 : 1) : (right[1][n] ? 2 : 3);
    times[verdict]++;
    return { id: set.prefix + id, gold: set.answers[golds[n]], said: said.map((one) => set.answers[one[n]]), verdict };
  });
  let test = mcnemar(times[1], times[2]);
  if (clusters) {
    const differences = new Array(Math.max(...clusters) + 1).fill(0);
    clusters.forEach((cluster, n) => { differences[cluster] += right[1][n] - right[0][n]; });
    test = swapped(differences);
  }
  return { rows, times, test };
}

const probability = (p) => p < 0.0001 ? p.toExponential(2) : p.toFixed(4);

function drawResult(set, { rows, times, test }, say) {
  const [one, other] = [lineOf(chosen.first), lineOf(chosen.second)];
  const [, lost, gained] = times, difference = (gained - lost) / rows.length;
  const better = difference > 0 ? "more right" : difference < 0 ? "fewer right" : "as many right";
  say(`On ${rows.length} rows of ${chosen.task}, ${other.entry} has ${difference ? `${Math.abs(gained - lost)} ` : ""}${better} than ` +
    `${one.entry}: ${gained} gained, ${lost} lost, difference ${difference.toFixed(4)}, p = ${probability(test.p)} (${test.method}` +
    `${test.floor > 0.05 ? "; too few rows differ to show anything" : ""}). ` +
    "The p-value is that of one test, not of the best of many that were tried.");
  byId("verdict").dataset.p = String(test.p);
  const which = element("select"), table = element("table"), label = element("label", "rows shown");
  const choices = [["differ", `gained and lost (${gained + lost})`], ...VERDICTS.map((word, n) => [String(n), `${word} (${times[n]})`]), ["", `all (${rows.length})`]];
  which.id = "which";
  which.append(...choices.map(([value, title]) => Object.assign(element("option", title), { value })));
  which.value = rowsShown.which;
  label.append(which);
  const more = button("", () => { rowsShown.most += STEP; fill(); });
  const fill = () => {
    const wanted = (row) => rowsShown.which === "differ" ? row.verdict === 1 || row.verdict === 2
      : rowsShown.which === "" || row.verdict === Number(rowsShown.which);
    const found = rows.filter(wanted);
    table.tBodies[0].replaceChildren(...found.slice(0, rowsShown.most).map(outcomeOf));
    more.hidden = found.length <= rowsShown.most;
    more.textContent = `show more of ${found.length - rowsShown.most}`;
  };
  which.addEventListener("input", () => { Object.assign(rowsShown, { which: which.value, most: STEP }); fill(); });
  const head = element("tr");
  head.append(...["row", "right answer", "first", "second", "second is"].map((title) => Object.assign(element("th", title), { scope: "col" })));
  table.createTHead().append(head);
  table.createTBody();
  fill();
  const box = element("div", undefined, "wide"), form = element("form");
  box.append(table);
  box.tabIndex = 0; // it scrolls, with the keyboard too
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Rows");
  form.append(label);
  byId("compared").replaceChildren(form, box, more);
}

function outcomeOf(row) {
  const made = element("tr"), name = element("th", row.id);
  name.scope = "row";
  const answers = [row.gold, ...row.said].map((answer) => element("td", answer || "not read"));
  made.append(name, ...answers, element("td", VERDICTS[row.verdict], VERDICTS[row.verdict]));
  return made;
}
