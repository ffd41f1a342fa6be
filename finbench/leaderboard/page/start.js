// What the page begins with: the filters' choices, conditions, robustness, what failed.
for (const name of ["task", "method"]) {
  const values = [...new Set(data.lines.map((line) => line[name]))];
  options(byId(name), values.map((value) => [value, value]), "");
}
const used = data.conditions.map((words, number) => [String(number), `${letter(number)}: ${words}`]);
options(byId("condition"), used, "");
for (const name of ["task", "method", "condition"]) byId(name).options[0].textContent = "all";
byId("conditions").append(...used.map(([, words]) => element("p", used.length > 1 ? words : words.slice(3))));

if (data.perturbed.length) {
  const table = element("table"), head = element("tr"), box = element("div", undefined, "wide");
  const titles = ["entry", "task", "perturbed", "texts changed", "unchanged", "accuracy", "lost", "verdict", "to know"];
  head.append(...titles.map((title) => Object.assign(element("th", title), { scope: "col" })));
  table.createTHead().append(head);
  table.createTBody().append(...data.perturbed.map((line) => {
    const made = element("tr"), name = element("th", line.entry), proof = element("details");
    const changed = line.changed === null ? "–" : `${(100 * line.changed).toFixed(1)}%`;
    const values = [line.task, line.kind, changed, line.clean.toFixed(4), line.accuracy.toFixed(4), line.lost, line.verdict];
    name.scope = "row";
    proof.append(element("summary", "details"), proofOf(line).cells[0].firstChild);
    const last = element("td");
    last.append(proof);
    made.append(name, ...values.map((value) => element("td", value)), last);
    return made;
  }));
  box.append(table);
  byId("perturbed").append(element("h2", "Robustness: accuracy lost on perturbed texts"), box);
}
for (const [title, lines] of [["Failed", data.failed], ["Not valid cells", data.unreadable]]) {
  if (!lines.length) continue;
  const list = element("ul");
  list.append(...lines.map((line) => element("li", line)));
  byId("broken").append(element("h2", title), list);
}
byId("filters").addEventListener("input", () => { state.most = STEP; draw(); });
byId("more").addEventListener("click", () => { state.most += STEP; draw(); });
byId("pair").addEventListener("input", (event) => {
  const name = event.target.id === "pair-task" ? "task" : event.target.id;
  if (name === "task") Object.assign(chosen, { first: "", second: "" });
  chosen[name] = event.target.value;
  drawPair();
  draw();
});
drawPair();
draw();
