"use strict";
(function () {
  const byId = (id) => document.getElementById(id);
  const collator = new Intl.Collator("en", { numeric: true });

  // Sorting. Rows without a value stay last in both directions, rows of equal value keep their order.
  function keyOf(cell, isNumber) {
    const text = "key" in cell.dataset ? cell.dataset.key : cell.textContent;
    if (!isNumber) return text === "" ? null : text;
    const number = parseFloat(text);
    return Number.isNaN(number) ? null : number;
  }

  // Live collections such as row.cells are avoided: a browser invalidates each of them whenever a row moves.
  function cellOf(row, column) {
    let cell = row.firstElementChild;
    for (let n = 0; n < column; n++) cell = cell.nextElementSibling;
    return cell;
  }

  function sortBy(table, head) {
    const heads = [...table.querySelectorAll("thead th")], column = heads.indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1, isNumber = "number" in head.dataset;
    const body = table.tBodies[0];
    const rows = [...body.querySelectorAll("tr")];
    const keyed = rows.map((row) => [keyOf(cellOf(row, column), isNumber), row]);
    keyed.sort(([one], [other]) => {
      if (one === null || other === null) return (one === null) - (other === null);
      return down * (isNumber ? one - other : collator.compare(one, other));
    });
    body.replaceChildren(); // all rows at once: one by one, 5,000 of them take Chromium ten seconds
    const sorted = document.createDocumentFragment();
    for (const [, row] of keyed) sorted.append(row);
    body.append(sorted);
    for (const each of heads) each.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const head of table.querySelectorAll("thead th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, head));
      head.append(button);
    }
  }

  // Filters.
  const form = byId("filters");
  if (!form) return;
  const shown = byId("shown"), failedSection = byId("failed-section"), caseTable = byId("case-table");
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const nameOf = (row) => plain(row.querySelector("th bdi").textContent);
  const cases = [...caseTable.querySelectorAll("tbody tr")].map((row) => ({
    row: row,
    name: nameOf(row),
    ctss: row.dataset.ctss === "" ? null : Number(row.dataset.ctss),
    severity: row.dataset.severity,
    diagnosis: row.dataset.diagnosis,
    codes: row.dataset.codes.split(";"),
    warnings: parseInt(row.lastElementChild.textContent, 10),
  }));
  const failed = failedSection === null ? [] : [...failedSection.querySelectorAll("tbody tr")].map((row) => ({
    row: row,
    name: nameOf(row),
  }));

  function valueOf(name) {
    const field = byId("filter-" + name);
    return field === null ? "" : field.value;
  }

  function isWarned(one, choice) {
    if (choice === "") return true;
    if (choice.startsWith("=")) return one.codes.includes(choice.slice(1));
    return (one.warnings > 0) === (choice === "+");
  }

  function filter() {
    const name = plain(valueOf("case").trim()), low = valueOf("low"), high = valueOf("high");
    const severity = valueOf("severity"), diagnosis = valueOf("diagnosis"), warnings = valueOf("warnings");
    const result = valueOf("result"), scored = low !== "" || high !== "";
    const least = low === "" ? -Infinity : Number(low), most = high === "" ? Infinity : Number(high);
    let found = 0, foundFailed = 0;
    for (const one of cases) {
      const fits = one.name.includes(name)
        && (!scored || (one.ctss !== null && one.ctss >= least && one.ctss <= most))
        && (severity === "" || one.severity === severity)
        && (diagnosis === "" || one.diagnosis === diagnosis)
        && isWarned(one, warnings);
      if (one.row.hidden === fits) one.row.hidden = !fits;
      found += fits;
    }
    for (const one of failed) {
      const fits = one.name.includes(name);
      if (one.row.hidden === fits) one.row.hidden = !fits;
      foundFailed += fits;
    }
    caseTable.hidden = result === "failed";
    if (failedSection) failedSection.hidden = result === "analysed";
    const parts = [];
    const part = (n, all, word) => n.toLocaleString("en") + " of " + all.toLocaleString("en") + " " + word;
    if (!caseTable.hidden) parts.push(part(found, cases.length, "analysed cases"));
    if (failedSection && !failedSection.hidden) parts.push(part(foundFailed, failed.length, "failed cases"));
    const text = "Shown: " + parts.join(", ") + ".";
    if (shown.textContent !== text) shown.textContent = text;
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  window.addEventListener("pageshow", filter); // a browser that goes back fills the fields in again
  form.hidden = shown.hidden = false;
  filter();
})();
