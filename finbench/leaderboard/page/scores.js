// The table of scores: a line a recipe, opened to its seeds; filtered, sorted, each number with its proof.
const data = JSON.parse(document.getElementById("data").textContent);
const STEP = 200;
const columns = [ // name in a line, title, whether it is hidden on a phone
  ["entry", "entry"], ["task", "task", true], ["method", "method", true], ["accuracy", "accuracy"],
  ["low", "95% interval", true], ["f1", "weighted F1", true], ["seconds", "seconds a row"], ["memory", "memory, GiB", true],
  ["adapter", "adapter, MiB", true], ["flags", "to know", true],
];
const numeric = new Set(["accuracy", "low", "f1", "seconds", "memory", "adapter"]);
const state = { by: "accuracy", down: true, most: STEP, open: new Set(), proved: new Set() };
const byId = (id) => document.getElementById(id);
const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};
const button = (text, act) => {
  const made = element("button", text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
};
const letter = (condition) => String.fromCharCode(97 + condition % 26);
const missing = (value) => value === null || value === undefined;
const text = (number) => data.texts[number];
const named = (line) => line.group === undefined ? line.entry : data.groups[line.group];

function shown(line, name) {
  const value = line[name];
  if (name === "flags") return (line.flags || []).map(text).join("; ");
  if (name === "low") return missing(value) ? "–" : `[${value.toFixed(3)}, ${line.high.toFixed(3)}]`;
  if (missing(value)) return "–";
  if (name === "accuracy" || name === "f1") return value.toFixed(4) + (name === "accuracy" && line.spread ? ` ± ${line.spread.toFixed(4)}` : "");
  if (name === "seconds") return String(value) + (line.disturbed ? "†" : "");
  if (name === "task" && data.conditions.length > 1 && !missing(line.condition)) return `${value} (${letter(line.condition)})`;
  return String(value);
}

function groupOf(lines) { // what seeds have together
  if (lines.length === 1) return lines[0];
  const mean = (name) => {
    const values = lines.map((line) => line[name]).filter((value) => !missing(value));
    return values.length ? values.reduce((sum, one) => sum + one, 0) / values.length : null;
  };
  const accuracy = mean("accuracy"), squares = lines.reduce((sum, line) => sum + (line.accuracy - accuracy) ** 2, 0);
  const rounded = (value, digits) => missing(value) ? value : Number(value.toFixed(digits));
  return {
    ...lines[0], seeds: lines, entry: named(lines[0]), accuracy, spread: Math.sqrt(squares / (lines.length - 1)),
    low: null, high: null, f1: mean("f1"), seconds: rounded(mean("seconds"), 5), memory: rounded(mean("memory"), 3),
    adapter: rounded(mean("adapter"), 3), disturbed: lines.some((line) => line.disturbed),
    flags: [...new Set(lines.flatMap((line) => line.flags))],
  };
}

function kept(line) {
  for (const name of ["task", "method", "condition"]) {
    const wanted = byId(name).value;
    if (wanted && String(line[name]) !== wanted && !(line.reported && name !== "task")) return false;
  }
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = `${line.task} ${line.entry} ${line.method} ${shown(line, "flags")}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

function compare(a, b) {
  const x = a[state.by], y = b[state.by];
  if (missing(x) || missing(y)) return missing(x) - missing(y);
  const order = numeric.has(state.by) ? x - y : shown(a, state.by).localeCompare(shown(b, state.by), "en");
  return (state.down ? -order : order) || a.place - b.place;
}

function proofOf(line) { // a row of its own below the line
  const made = element("tr", undefined, "proof"), cell = element("td"), list = element("dl");
  cell.colSpan = columns.length;
  const told = columns.slice(2).map(([name, title]) => [title, shown(line, name)]).filter(([, value]) => value && value !== "–");
  const condition = missing(line.condition) ? [] : [["condition", data.conditions[line.condition]]];
  for (const [name, value] of [...told, ...condition, ...Object.entries(line.proof).map(([name, number]) => [name, text(number)])]) {
    const shownValue = element("dd", name === "cell" ? undefined : value);
    if (name === "cell") {
      const link = element("a", value);
      link.href = value.split("/").map(encodeURIComponent).join("/");
      shownValue.append(link);
    }
    list.append(element("dt", name), shownValue);
  }
  cell.append(list);
  made.append(cell);
  return made;
}

function nameOf(line) { // its long names may break after a dash or a bar
  const name = element("span");
  line.entry.split(/(?<=[-_+/])/).forEach((part) => name.append(part, element("wbr")));
  return name;
}

function actionsOf(line) {
  const box = element("div", undefined, "actions");
  const add = (made, name, on, pressed) => {
    made.setAttribute(name, String(on));
    made.setAttribute("aria-label", `${made.textContent}: ${line.entry} on ${line.task}`);
    made.dataset.act = `${pressed} ${line.place}`;
    box.append(made);
  };
  if (line.seeds) {
    add(button(`${line.seeds.length} seeds`, () => toggle(state.open, line.place)), "aria-expanded", state.open.has(line.place), "open");
    return box;
  }
  add(button("details", () => toggle(state.proved, line.place)), "aria-expanded", state.proved.has(line.place), "prove");
  if (line.compared) add(button("compare", () => choose(line)), "aria-pressed", isChosen(line), "choose");
  return box;
}

function toggle(set, place) {
  if (!set.delete(place)) set.add(place);
  draw();
}

function rowsOf(line, className = "") {
  const made = element("tr", undefined, line.reported ? "reported" : className);
  for (const [name, , extra] of columns) {
    const cell = name === "entry" ? element("th") : element("td", shown(line, name));
    cell.className = [numeric.has(name) ? "number" : name, extra ? "extra" : ""].join(" ").trim();
    if (name === "entry") {
      cell.scope = "row";
      cell.append(nameOf(line), element("span", ` on ${shown(line, "task")}`, "narrow"));
      if (!line.reported) cell.append(actionsOf(line));
    }
    made.append(cell);
  }
  const proved = !line.seeds && state.proved.has(line.place) ? [proofOf(line)] : [];
  const seeds = line.seeds && state.open.has(line.place) ? [...line.seeds].sort(compare).flatMap((one) => rowsOf(one, "seed")) : [];
  return [made, ...proved, ...seeds];
}

function drawHead() {
  byId("head").replaceChildren(...columns.map(([name, title, extra]) => {
    const cell = element("th", undefined, `${numeric.has(name) ? "number" : ""} ${extra ? "extra" : ""}`.trim());
    const sort = button(title + (state.by === name ? (state.down ? " ↓" : " ↑") : ""), () => {
      state.down = state.by === name ? !state.down : numeric.has(name) && !["seconds", "memory", "adapter"].includes(name);
      state.by = name;
      draw();
    });
    cell.scope = "col";
    cell.setAttribute("aria-sort", state.by === name ? (state.down ? "descending" : "ascending") : "none");
    sort.dataset.act = `sort ${name}`;
    cell.append(sort);
    return cell;
  }));
}

const groups = new Map();
data.lines.forEach((line, place) => {
  line.place = place;
  const key = `${line.condition} ${line.task} ${line.group}`;
  groups.set(key, [...(groups.get(key) || []), line]);
});
const together = [...groups.values()].map(groupOf);

function draw() {
  const held = document.activeElement && document.activeElement.dataset.act;
  drawHead();
  const measured = together.filter((line) => (line.seeds || [line]).some(kept)).sort(compare);
  const reported = byId("published").checked ? data.reported.filter(kept) : [];
  const scores = measured.reduce((sum, line) => sum + (line.seeds ? line.seeds.length : 1), 0);
  byId("count").textContent = `${measured.length} lines with ${scores} of ${data.lines.length} scores` +
    (reported.length ? `; below them ${reported.length} as published by others, not ranked` : "") +
    (measured.some((line) => line.disturbed) ? "; † seconds taken beside other work" : "");
  byId("body").replaceChildren(...measured.slice(0, state.most).flatMap((line) => rowsOf(line)), ...reported.flatMap((line) => rowsOf(line)));
  byId("more").hidden = measured.length <= state.most;
  byId("more").textContent = `show ${Math.min(STEP, measured.length - state.most)} more of ${measured.length - state.most}`;
  if (held) { // what was drawn anew keeps the keyboard's place
    const again = document.querySelector(`[data-act="${held}"]`);
    if (again) again.focus();
  }
}
