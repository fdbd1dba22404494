"use strict";

// The page is whole without this script. It answers to the reader: shows the image of a mark, selects marks and lists them, sorts the
// contact sheets, lays heatmaps over images. Text from data enters the page as text alone.

const { samples, plots } = JSON.parse(document.getElementById("data").textContent);

/** How near to a mark the pointer must be, and how far it must go to draw a rectangle, in units of the drawing. */
const NEAR = 20;
const DRAGGED = 5;

/** More rows than these make a list slow. */
const LISTED = 1000;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawn(drawing, name, className) {
  const made = document.createElementNS(drawing.namespaceURI, name);
  made.setAttribute("class", className);
  return drawing.appendChild(made);
}

function picture(number, label) {
  const made = element("span", `picture p${number}`);
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label);
  return made;
}

/** The image and the heatmaps of a row, if the page has them. Heatmaps over the image have the image below. */
function picturesOf(plot, row) {
  const [photo, ...heatmaps] = plot.pictures[row] ?? [];
  if (photo === undefined) return [];
  const { id } = samples[row];
  const maps = heatmaps.map((heatmap, at) => {
    const { name, spatial } = plot.maps[at];
    const map = picture(heatmap, `${name} of ${id}`);
    if (!spatial) return map;
    map.classList.add("heatmap");
    const below = element("span", `picture p${photo}`);
    below.append(map);
    return below;
  });
  return [picture(photo, `image of ${id}`), ...maps];
}

const yesOrNo = (value) => (value ? "yes" : "no");
const ring = (x, y, radius) => `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0-${2 * radius} 0`;

/** The map of one class. Marks go by number, highest score first. */
class Scatter {
  constructor(place, plot) {
    this.place = place;
    this.plot = plot;
    this.count = plot.rows.length;
    this.selected = new Set();
    this.current = undefined;
    this.start = undefined;
    this.drawing = place.querySelector("svg");
    this.rings = drawn(this.drawing, "path", "rings");
    this.halo = drawn(this.drawing, "path", "halo");
    this.brush = drawn(this.drawing, "rect", "brush");
    this.list = place.querySelector("tbody");
    this.said = place.querySelector("output");

    place.classList.add("live");
    for (const part of place.querySelectorAll(".inspector, .selected")) part.hidden = false;
    this.drawing.setAttribute("tabindex", "0");
    this.drawing.setAttribute("role", "application");
    this.drawing.addEventListener("keydown", (event) => this.key(event));
    this.drawing.addEventListener("pointerdown", (event) => this.press(event));
    this.drawing.addEventListener("pointermove", (event) => this.move(event));
    this.drawing.addEventListener("pointerup", (event) => this.release(event));
    this.drawing.addEventListener("pointercancel", () => this.drop());
    place.querySelector("[data-do=copy]").addEventListener("click", () => this.copy());
    place.querySelector("[data-do=clear]").addEventListener("click", () => this.select([], false));
    this.look(0);
  }

  /** Where the pointer is, in units of the drawing. */
  at(event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(this.drawing.getScreenCTM().inverse());
  }

  /** The mark next to a place; none if it is far. */
  nearest({ x, y }) {
    let [best, least] = [undefined, NEAR];
    for (let mark = 0; mark < this.count; mark++) {
      const distance = Math.hypot(this.plot.x[mark] - x, this.plot.y[mark] - y);
      if (distance < least) [best, least] = [mark, distance];
    }
    return best;
  }

  /** Shows the image of a mark. */
  look(mark) {
    if (mark === undefined || mark === this.current) return;
    this.current = mark;
    const { plot } = this;
    const row = plot.rows[mark];
    const { id, path, truth } = samples[row];
    const facts = {
      id,
      path,
      score: `${plot.scores[mark]} (#${mark + 1} of ${this.count})`,
      flagged: yesOrNo(plot.flagged[mark]),
      cluster: plot.memberships[mark],
      truth,
    };
    for (const fact of this.place.querySelectorAll("[data-fact]")) {
      const text = facts[fact.dataset.fact];
      fact.textContent = text ?? "";
      fact.parentElement.hidden = text === undefined || text === null;
    }
    const pictures = picturesOf(plot, row);
    const none = element("p", "note", "The page has no picture of this image.");
    this.place.querySelector(".seen .pictures").replaceChildren(...(pictures.length ? pictures : [none]));
    this.halo.setAttribute("d", ring(plot.x[mark], plot.y[mark], 10));
  }

  /** Selects these marks, or adds them to those that are selected. */
  select(marks, more) {
    if (!more) this.selected.clear();
    for (const mark of marks) this.selected.add(mark);
    this.show();
  }

  toggle(mark) {
    if (!this.selected.delete(mark)) this.selected.add(mark);
    this.show();
  }

  /** The selected marks, highest score first. */
  inOrder() {
    return [...this.selected].sort((a, b) => a - b);
  }

  show() {
    const marks = this.inOrder();
    const { plot } = this;
    this.rings.setAttribute("d", marks.map((mark) => ring(plot.x[mark], plot.y[mark], 8)).join(""));
    this.list.replaceChildren(...marks.slice(0, LISTED).map((mark) => this.line(mark)));
    const more = marks.length > LISTED ? `, the first ${LISTED} of them listed` : "";
    this.said.textContent = marks.length ? `${marks.length} selected${more}.` : "Nothing is selected.";
    for (const button of this.place.querySelectorAll("[data-do]")) button.disabled = !marks.length;
    this.place.querySelector(".list").hidden = !marks.length;
  }

  /** A line of the list. */
  line(mark) {
    const { plot } = this;
    const row = plot.rows[mark];
    const { id, path, truth } = samples[row];
    const line = element("tr");
    line.append(element("th", "", id));
    line.firstChild.scope = "row";
    const pictures = element("td");
    const both = pictures.appendChild(element("div", "pictures"));
    both.append(...picturesOf(plot, row));
    line.append(pictures, element("td", "", path), element("td", "number", plot.scores[mark]));
    line.append(element("td", "", yesOrNo(plot.flagged[mark])), element("td", "", truth ?? "unknown"));
    line.addEventListener("pointerenter", () => this.look(mark));
    return line;
  }

  async copy() {
    const ids = this.inOrder().map((mark) => samples[this.plot.rows[mark]].id);
    this.said.textContent = (await copied(ids.join("\n"))) ? `${ids.length} ids copied.` : "The browser lets nothing be copied.";
  }

  press(event) {
    if (event.button !== 0) return;
    this.start = this.at(event);
    this.drawing.setPointerCapture(event.pointerId);
  }

  move(event) {
    const here = this.at(event);
    if (!this.start) return this.look(this.nearest(here));
    const { x, y, width, height } = this.between(here);
    for (const [name, value] of Object.entries({ x, y, width, height })) this.brush.setAttribute(name, value);
  }

  release(event) {
    if (!this.start) return;
    const here = this.at(event);
    const { x, y, width, height } = this.between(here);
    this.drop();
    if (Math.max(width, height) < DRAGGED) {
      const mark = this.nearest(here);
      if (mark === undefined) return;
      this.look(mark);
      return this.toggle(mark);
    }
    const isInside = (mark) => {
      const [right, down] = [this.plot.x[mark] - x, this.plot.y[mark] - y];
      return right >= 0 && right <= width && down >= 0 && down <= height;
    };
    this.select([...Array(this.count).keys()].filter(isInside), event.shiftKey);
  }

  /** The rectangle from where the pointer was pressed. */
  between(here) {
    const [x, y] = [Math.min(this.start.x, here.x), Math.min(this.start.y, here.y)];
    return { x, y, width: Math.abs(this.start.x - here.x), height: Math.abs(this.start.y - here.y) };
  }

  drop() {
    this.start = undefined;
    for (const name of ["x", "y", "width", "height"]) this.brush.removeAttribute(name);
  }

  key(event) {
    const last = this.count - 1;
    const mark = this.current ?? 0;
    const goals = { ArrowRight: mark + 1, ArrowDown: mark + 1, ArrowLeft: mark - 1, ArrowUp: mark - 1, Home: 0, End: last };
    if (event.key in goals) {
      this.look(Math.min(Math.max(goals[event.key], 0), last));
      if (event.shiftKey) this.select([mark, this.current], true);
    } else if (event.key === "Enter" || event.key === " ") {
      this.toggle(mark);
    } else if (event.key === "Escape") {
      this.select([], false);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** Copies text; says whether it could. Pages from a file may lack the newer way. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.body.appendChild(element("textarea"));
    field.value = text;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

const byRank = (a, b) => a.dataset.rank - b.dataset.rank;
const byId = (a, b) => (a.dataset.id < b.dataset.id ? -1 : 1);
const isFlagged = (tile) => tile.classList.contains("flagged");
const ORDERS = { score: byRank, id: byId, flagged: (a, b) => isFlagged(b) - isFlagged(a) || byRank(a, b) };

/** Sorts the contact sheets of a class. */
function sort(event) {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  for (const button of event.currentTarget.querySelectorAll("button")) button.setAttribute("aria-pressed", button === pressed);
  for (const sheet of event.currentTarget.closest(".class").querySelectorAll(".sheet")) {
    sheet.replaceChildren(...[...sheet.children].sort(ORDERS[pressed.dataset.order]));
  }
}

/** Lays heatmaps over images, or beside them again. */
function overlay(event) {
  const over = document.body.classList.toggle("overlaid");
  event.currentTarget.setAttribute("aria-pressed", over);
}

for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
for (const order of document.querySelectorAll(".order")) order.addEventListener("click", sort);
document.getElementById("overlay")?.addEventListener("click", overlay);
for (const place of document.querySelectorAll(".map")) new Scatter(place, plots[place.dataset.plot]);
