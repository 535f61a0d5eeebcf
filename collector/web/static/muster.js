// What makes pages quicker to use, and live. Everything works without it.

const now = () => Date.now() + ahead;
let ahead = 0; // how far the collector's clock is from this one, in milliseconds
const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const make = (tag, props, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};

// Times: ages that go on, with the exact time in the reader's zone on hover; and exact
// times in the reader's zone, with that of the collector on hover.

const exact = (month, zone) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month, year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: zone });
const hovered = exact("long", "long");
const written = { long: exact("long"), short: exact("short") };
const zone = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }); // which has the names that people here use
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function span(ms) {
  const minutes = Math.floor(ms / 60000), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (hours < 1) return plural(minutes, "minute");
  if (days < 2) return plural(hours, "hour");
  if (days < 60) return plural(days, "day");
  return days < 730 ? plural(Math.floor(days / 30), "month") : plural(Math.floor(days / 365), "year");
}

function age(ms) {
  if (ms < -60000) return `in ${span(-ms)}`;
  return ms < 60000 ? "just now" : `${span(ms)} ago`;
}

function inZone(format, at) {
  const { value } = zone.formatToParts(at).find(({ type }) => type === "timeZoneName");
  return `${format.format(at).replace(" at ", ", ")} ${value}`;
}

function tellTimes(page) {
  const present = page.querySelector("[data-now]"); // what is of the past grows no older
  for (const time of page.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime), format = written[time.dataset.exact];
    if (Number.isNaN(at)) continue;
    let text = time.textContent;
    if (format) text = inZone(format, at);
    else {
      time.title = hovered.format(at).replace(" at ", ", ");
      if (present && /^in \d|ago$|^just now$/.test(text)) text = age(now() - at);
    }
    if (text !== time.textContent) time.textContent = text;
  }
}

function setClock(page) {
  const at = Date.parse(page.querySelector("[data-now]")?.dataset.now);
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

setClock(document);
tellTimes(document);
setInterval(tellTimes, 30000, document);

// Live: what differs in the page as it is now replaces what is shown, in place.

const main = document.getElementById("main");
const said = make("p", { className: "unseen", role: "status" });
document.body.append(said);

// A form is left alone while someone is in it, is about to press its button, or has changed it.
function edited(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.type === "file") return field.files.length > 0;
  if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findLastIndex((o) => o.defaultSelected));
  return "defaultValue" in field && field.value !== field.defaultValue;
}
const busy = (form) => form.contains(document.activeElement) || form.matches(":hover") || [...form.elements].some(edited);
const holds = (node) => node.localName === "form" ? busy(node) : node.querySelectorAll && [...node.querySelectorAll("form")].some(busy);

// What makes a node the same one in two versions of a page: a row is known by where its
// heading leads, an entry of a list by where all of it does.
function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
  let name = node.id || node.getAttribute("aria-labelledby");
  if (!name && ["tr", "li", "article"].includes(node.localName)) {
    const links = (node.querySelector("th") ?? node).querySelectorAll("a, form");
    name = [...links].map((one) => one.getAttribute("href") ?? one.getAttribute("action")).join(" ");
  }
  if (!name && node.localName === "details") name = node.querySelector("summary")?.textContent.replace(/[\d,]+/g, "");
  return `${node.localName} ${name ?? ""}`;
}

function keyed(nodes) {
  const all = new Map();
  for (const node of nodes) {
    const key = keyOf(node);
    let n = 0;
    while (all.has(`${key} ${n}`)) n++;
    all.set(`${key} ${n}`, node);
  }
  return all;
}

// morph makes old what next is, and puts into changed the rows and paragraphs that tell
// something else now.
function morph(old, next, changed) {
  if (old.isEqualNode(next)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = next.nodeValue;
    note(old, changed);
    return;
  }
  if (old.localName === "form" && busy(old)) return;
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);

  const before = keyed(old.childNodes), after = keyed([...next.childNodes]);
  const kept = new Set();
  for (const [key, node] of before) {
    if (after.has(key)) continue;
    if (holds(node)) kept.add(node);
    else {
      note(node, changed, old);
      node.remove();
    }
  }
  let at = old.firstChild;
  for (const [key, node] of after) {
    while (kept.has(at)) at = at.nextSibling;
    const mine = before.get(key);
    if (!mine) {
      old.insertBefore(document.adoptNode(node), at);
      note(node, changed);
      continue;
    }
    if (mine === at) at = at.nextSibling;
    else old.insertBefore(mine, at);
    morph(mine, node, changed);
  }
}

function note(node, changed, parent = node.parentElement) {
  if (!node.textContent.trim() || parent.closest("time")) return;
  const block = node.nodeType === Node.ELEMENT_NODE && node.isConnected ? node : parent;
  changed.add(block.closest("tr, li") ?? block.closest("p, dd, summary, h1, h2, h3") ?? block);
}

let tag = "", changes = 0, saidAt = 0;

async function refresh() {
  const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html", ...(tag && { "If-None-Match": tag }) } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.getElementById("main");
  if (!next) return;
  if (next.dataset.live !== main.dataset.live || page.querySelector("script")?.src !== document.querySelector("script")?.src) {
    if (!holds(document.body)) location.reload(); // of another county now, or of another version
    return;
  }
  tag = answer.headers.get("ETag") ?? "";
  setClock(page);
  tellTimes(page);
  const changed = new Set(), focused = document.activeElement;
  morph(main, next, changed);
  document.querySelector("footer time")?.replaceWith(page.querySelector("footer time") ?? "");
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  document.title = page.title;
  tell(changed);
}

// tell says calmly how much is new, and shows where for a moment.
async function tell(changed) {
  for (const block of changed) block.classList.add("fresh");
  setTimeout(() => changed.forEach((block) => block.classList.remove("fresh")), 3000);
  const waiting = changes > 0;
  changes += changed.size;
  if (waiting || changes === 0) return;
  await sleep(saidAt + 10000 - Date.now());
  saidAt = Date.now();
  said.textContent = `Updated just now: ${plural(changes, "change")}`;
  changes = 0;
}

// want looks at the page again: soon after a quiet time, else at a pace that leaves the
// collector nineteen parts in twenty of its time.
let wanted = false, looking = false, answered = false, pace = 0;

async function want() {
  wanted = true;
  if (looking || answered) return;
  looking = true;
  while (wanted && !document.hidden) {
    await sleep(Math.max(pace - performance.now(), Math.random() * 500));
    wanted = false;
    const began = performance.now();
    const slow = setTimeout(() => { main.ariaBusy = "true"; }, 1000);
    await refresh().catch(() => {}); // the connection tells that the collector is away
    clearTimeout(slow);
    main.ariaBusy = null;
    pace = performance.now() + Math.max(5000, 20 * (performance.now() - began));
  }
  looking = false;
}

function show(text, live = true) {
  const state = document.getElementById("live");
  if (!state) return;
  state.hidden = false;
  state.textContent = text;
  state.classList.toggle("off", !live);
}

let source, missed = false, off;

function listen() {
  source = new EventSource(main.dataset.live);
  source.addEventListener("changed", want);
  source.onopen = () => {
    clearTimeout(off);
    off = undefined;
    show("Live");
    if (missed) want(); // what changed in between
    missed = true;
  };
  source.onerror = () => {
    const since = clock.format(Date.now());
    off ??= setTimeout(show, 15000, `Not live since ${since}`, false); // it comes back by itself every few minutes
    if (source.readyState === EventSource.CLOSED) setTimeout(relisten, 60000 * (1 + Math.random()), source);
  };
}

function relisten(ended) {
  if (ended === source && !document.hidden) listen();
}

if (main?.dataset.live) {
  if (!document.hidden) listen();
  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) listen();
  });
}

// Keys. Single letters can be switched off, for who speaks to their computer.

const letters = { "/": "o", "/changes": "c", "/quiet": "n", "/pending": "w", "/policies": "p", "/exceptions": "x", "/courier": "u", "/exports": "e", "/people": "r", "/log": "l" };
const places = new Map();
for (const link of document.querySelectorAll("header nav a")) if (letters[link.pathname]) places.set(letters[link.pathname], link);

const setting = "muster-keys";
const keysOn = make("input", { type: "checkbox", checked: true });
try {
  keysOn.checked = localStorage.getItem(setting) !== "off";
  keysOn.addEventListener("change", () => localStorage.setItem(setting, keysOn.checked ? "on" : "off"));
} catch {
  // it counts for this page
}

const keys = (row, text) => make("div", {}, make("dt", {}, ...row.map((key) => make("kbd", {}, key))), make("dd", {}, text));
const search = document.getElementById("q");
const help = make("dialog", { className: "keys" },
  make("h2", { id: "keys", tabIndex: -1, autofocus: true }, "Keys"),
  make("dl", {},
    ...(search ? [keys(["/"], "Find a computer, county or control")] : []),
    ...[...places].map(([key, link]) => keys(["g", key], link.textContent)),
    keys(["?"], "Show these keys")),
  make("form", { method: "dialog" }, make("label", {}, keysOn, " Use these keys"), make("button", {}, "Close")));
help.setAttribute("aria-labelledby", "keys");
document.body.append(help);
const opener = make("button", { type: "button", className: "plainly" }, "Keys");
opener.addEventListener("click", () => help.showModal());
document.querySelector("footer .wrap")?.append(opener);

let went = 0; // when "g" was pressed
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked || help.open) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const place = Date.now() - went < 1500 && places.get(event.key);
  went = event.key === "g" ? Date.now() : 0;
  if (place) place.click();
  else if (event.key === "?") help.showModal();
  else if (event.key === "/" && search) search.focus();
  else return;
  event.preventDefault();
});

// Uploads show how far they are, and then what the collector answers.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-upload]") || event.defaultPrevented) return;
  event.preventDefault();
  const bar = make("progress", { max: 1, value: 0, ariaLabel: "Upload" }), text = make("span", {}), alarm = make("span", { role: "alert" });
  const line = make("p", { className: "upload" }, bar, text, alarm);
  form.querySelector(".upload")?.remove();
  form.append(line);
  const button = event.submitter ?? form.querySelector("button");
  const fail = (why) => {
    bar.remove();
    text.remove();
    alarm.textContent = why;
    button.disabled = false;
  };
  const megabytes = (n) => (n / 1e6).toFixed(1);
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "document";
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    text.textContent = `${megabytes(loaded)} of ${megabytes(total)} MB`;
  };
  request.upload.onload = () => {
    bar.removeAttribute("value");
    text.textContent = "Sent. The collector looks at it.";
  };
  request.onerror = () => fail("The connection broke. Nothing is lost: send it again.");
  request.onload = () => {
    const page = request.response;
    if (!page?.body) fail("The collector gave no answer that can be shown. Send it again, or look at the page anew.");
    else if (request.responseURL !== form.action) location.assign(request.responseURL);
    else showPage(page);
  };
  request.send(new FormData(form, button));
  button.disabled = true;
});

// Any other form that takes longer says so, and cannot be sent twice meanwhile.

document.addEventListener("submit", ({ target: form, submitter: button, defaultPrevented }) => {
  if (defaultPrevented || form.method === "dialog") return;
  const words = button?.textContent;
  const wait = (busy) => {
    form.ariaBusy = busy ? "true" : null;
    said.textContent = busy ? "One moment. The collector is at work." : "";
    if (!button) return;
    button.disabled = busy;
    button.textContent = busy ? "One moment…" : words;
  };
  setTimeout(wait, 1000, true);
  setTimeout(wait, 60000, false); // whoever stopped it may try again
});

// showPage puts the collector's answer in the place of this page.
function showPage(page) {
  answered = true; // it stays until it is read
  tellTimes(page);
  document.title = page.title;
  main.replaceChildren(...page.getElementById("main")?.childNodes ?? page.body.childNodes);
  main.focus();
}
