"use strict";
(function () {
  const byId = (id) => document.getElementById(id);
  const viewer = byId("viewer"), number = byId("slice-number"), image = byId("slice-image"), svg = byId("slice");
  const data = JSON.parse(byId("slice-data").textContent);
  const [columns, rows] = data.size, [width, height] = data.mm, count = data.slices.length;
  const boxes = ["lung", "lobe", "opacity"].map((kind) => byId("show-" + kind)).filter(Boolean);

  // A label is lobe + 8 side + 32 opacity.
  const layers = [
    ["lung", "{{ colours.lung }}", (label) => (label >> 3 & 3) === 1], ["lung", "{{ colours.lung }}", (label) => (label >> 3 & 3) === 2],
{% for lobe in Lobe %}
    ["lobe", "{{ colours[lobe.name] }}", (label) => (label & 7) === {{ lobe.value }}],
{% endfor %}
{% for kind in Opacity %}
    ["opacity", "{{ colours[kind.name] }}", (label) => label >> 5 === {{ kind.value }}],
{% endfor %}
  ];

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function labelsOf(slice) {
    const table = bytes(slice.runs), labels = new Uint8Array(rows * columns);
    for (let n = 0, at = 0; n < table.length; n += 3) {
      const length = table[n] + 256 * table[n + 1];
      labels.fill(table[n + 2], at, at + length);
      at += length;
    }
    return labels;
  }

  // Marching squares at half height: lines run from edge to edge of cells between four pixels. Units are half pixels.
  const top = [0, -1], right = [1, 0], bottom = [0, 1], left = [-1, 0];
  const cells = [
    [], [[left, bottom]], [[bottom, right]], [[left, right]], [[top, right]], [[left, top], [bottom, right]],
    [[top, bottom]], [[left, top]], [[left, top]], [[top, bottom]], [[top, right], [left, bottom]], [[top, right]],
    [[left, right]], [[bottom, right]], [[left, bottom]], [],
  ];

  function outline(labels, isInside) {
    const chosen = new Uint8Array(256);
    for (let label = 0; label < 256; label++) chosen[label] = isInside(label) ? 1 : 0;
    const padded = new Uint8Array((rows + 2) * (columns + 2)), wide = columns + 2;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) padded[(y + 1) * wide + x + 1] = chosen[labels[y * columns + x]];
    }
    const parts = [];
    for (let y = 0; y <= rows; y++) {
      for (let x = 0, at = y * wide; x <= columns; x++, at++) {
        const kind = padded[at] * 8 + padded[at + 1] * 4 + padded[at + wide + 1] * 2 + padded[at + wide];
        for (const [from, to] of cells[kind]) {
          parts.push("M", 2 * x + from[0], " ", 2 * y + from[1], "L", 2 * x + to[0], " ", 2 * y + to[1]);
        }
      }
    }
    return parts.join("");
  }

  const lines = byId("slice-lines");
  const paths = layers.map(([kind, colour]) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", "line");
    path.setAttribute("stroke", colour);
    path.dataset.kind = kind;
    lines.append(path);
    return path;
  });

  function isShown(kind) {
    const box = byId("show-" + kind);
    return box !== null && box.checked;
  }

  function textOf(index) {
    const slice = data.slices[index];
    const pattern = slice.percent === null ? viewer.dataset.without : viewer.dataset.text;
    const values = { n: index + 1, count: count, z: slice.z, percent: slice.percent };
    const text = pattern.replace(/\{(\w+)\}/g, (whole, name) => name in values ? values[name] : whole);
    return slice.acquired ? text : text + " (" + viewer.dataset.interpolated + ")";
  }

  function drawLines() {
    const labels = labelsOf(data.slices[number.value - 1]);
    layers.forEach(([kind, , isInside], n) => {
      paths[n].setAttribute("d", isShown(kind) ? outline(labels, isInside) : "");
    });
  }

  function show(index) {
    index = Math.min(Math.max(index, 0), count - 1);
    number.value = index + 1;
    const slice = data.slices[index], text = textOf(index);
    image.setAttribute("href", "data:image/jpeg;base64," + slice.jpeg);
    svg.setAttribute("aria-label", text);
    number.setAttribute("aria-valuetext", text);
    byId("slice-text").textContent = text;
    drawLines();
    const mark = byId("profile-mark");
    if (mark && slice.x !== null) mark.setAttribute("d", "M" + slice.x + " {{ charts.PLOT_TOP }}V{{ charts.PLOT_BOTTOM }}");
  }

  const step = (by) => show(Number(number.value) - 1 + by);

  svg.setAttribute("viewBox", "0 0 " + width + " " + height);
  image.setAttribute("width", width);
  image.setAttribute("height", height);
  lines.setAttribute("transform", "scale(" + width / (2 * columns) + " " + height / (2 * rows) + ")");
  number.max = count;
  number.addEventListener("input", () => show(number.value - 1));
  byId("slice-up").addEventListener("click", () => step(-1));
  byId("slice-down").addEventListener("click", () => step(1));
  boxes.forEach((box) => box.addEventListener("change", drawLines));
  svg.addEventListener("wheel", (event) => {
    const by = Math.sign(event.deltaY), at = Number(number.value) + by;
    if (event.ctrlKey || by === 0 || at < 1 || at > count) return; // zoom, or scroll the page on
    event.preventDefault();
    step(by);
  }, { passive: false });
  let before = [];
  viewer.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "o" || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = boxes.map((box) => box.checked);
    if (on.some(Boolean)) {
      before = on;
      boxes.forEach((box) => { box.checked = false; });
    } else {
      boxes.forEach((box, n) => { box.checked = before.length ? before[n] : true; });
    }
    drawLines();
  });
  const profile = byId("profile");
  if (profile) {
    profile.addEventListener("click", (event) => {
      const box = profile.getBoundingClientRect(), x = (event.clientX - box.left) * {{ charts.CHART_WIDTH }} / box.width;
      let nearest = 0;
      data.slices.forEach((slice, n) => {
        if (Math.abs(slice.x - x) < Math.abs(data.slices[nearest].x - x)) nearest = n;
      });
      show(nearest);
    });
  }
  viewer.hidden = false;
  show(data.start);

  const copy = byId("copy-methods");
  if (navigator.clipboard || document.execCommand) copy.hidden = false;
  copy.addEventListener("click", async () => {
    const source = byId("methods-text");
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(source.innerText);
    } else { // a page that was opened from a file
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    copy.textContent = copy.dataset.done;
  });
})();
