"use strict";
// Whatever comes from objects is set as text, never as markup.
const EVERY = 2000;
const PER_PAGE = 50;
const KEPT = 60;
const VIEWS = ["overview", "routes", "services", "certificates", "problems"];
const COLUMNS = {
  routes: ["Host and path", "Goes to", "From", "Requests"],
  services: ["Service", "Addresses", "Ports", "Endpoints"],
  certificates: ["Host", "Secret", "Valid until"],
  problems: ["Object", "Reason", "What is wrong"],
};
const state = { view: "overview", filter: "", offset: 0, paused: false, asked: 0, shown: 0, timer: 0 };
/** By name of a series: counters of the last time, and what was drawn. */
const series = new Map();
const rows = new Map();

const get = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Sets text only where it is another one: screen readers are told of changes. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function rounded(number) {
  if (number >= 100) return Math.round(number).toLocaleString("en");
  return number >= 10 ? number.toFixed(1) : Number(number.toFixed(2)).toString();
}

function milliseconds(number) {
  if (number === null) return "-";
  if (number === Infinity) return "over 10 s";
  return number >= 1000 ? `${rounded(number / 1000)} s` : `${rounded(number)} ms`;
}

/** The time within which a share of what the buckets count was over. */
function quantile(buckets, bounds, share) {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = total * share;
  for (let at = 0; at < buckets.length; at += 1) {
    if (left <= buckets[at]) {
      if (at === bounds.length) return Infinity;
      const from = at === 0 ? 0 : bounds[at - 1];
      return from + ((bounds[at] - from) * left) / Math.max(buckets[at], 1);
    }
    left -= buckets[at];
  }
  return Infinity;
}

/** What happened since this was last told of the series; null where that is nothing new. */
function happened(name, traffic, overview) {
  const before = series.get(name);
  if (before && before.at === overview.at_ms) return null;
  const drawn = before ? before.drawn : { rate: [], errors: [], slow: [], flight: [] };
  series.set(name, { at: overview.at_ms, traffic, drawn });
  if (!before || traffic.requests < before.traffic.requests) return null;
  const seconds = (overview.at_ms - before.at) / 1000;
  const bounds = overview.latency_bounds_ms;
  const since = (of) => of(traffic) - of(before.traffic);
  const buckets = traffic.latencies.map((count, at) => count - before.traffic.latencies[at]);
  const sample = {
    rate: since((it) => it.requests) / seconds,
    errors: since((it) => it.server_errors) / seconds,
    half: quantile(buckets, bounds, 0.5),
    slow: quantile(buckets, bounds, 0.99),
    flight: traffic.in_flight,
    drawn,
  };
  for (const [name, value] of [["rate", sample.rate], ["errors", sample.errors], ["slow", sample.slow], ["flight", sample.flight]]) {
    drawn[name].push(value === Infinity ? 10000 : value || 0);
    if (drawn[name].length > KEPT) drawn[name].shift();
  }
  return sample;
}

/** A line of the last two minutes; `what` says the same in words. */
function chart(holder, values, what) {
  const space = "http://www.w3.org/2000/svg";
  let svg = holder.querySelector("svg");
  if (!svg) {
    svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 120 32");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.append(document.createElementNS(space, "polyline"));
    holder.append(svg);
  }
  const most = Math.max(...values, 0);
  const points = values.map((value, at) => {
    const x = 120 - (values.length - 1 - at) * (120 / (KEPT - 1));
    const y = most > 0 ? 30 - (28 * value) / most : 30;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  svg.setAttribute("aria-label", `${what}; most in two minutes ${rounded(most)}`);
  svg.firstChild.setAttribute("points", points.join(" "));
}

function showOverview(overview) {
  say(get("node"), overview.node);
  say(get("version"), `Version ${overview.version}.`);
  document.title = `${overview.node} - fairway status`;
  const badge = get("health");
  say(badge, overview.draining ? "draining" : overview.healthy ? "healthy" : "not healthy");
  badge.className = `badge ${overview.draining ? "fair" : overview.healthy ? "good" : "bad"}`;
  for (const node of document.querySelectorAll("[data-count]")) {
    say(node, overview.counts[node.dataset.count].toLocaleString("en"));
  }
  const sample = happened("all", overview.traffic, overview);
  if (sample) {
    say(get("rate"), rounded(sample.rate));
    say(get("errors"), rounded(sample.errors));
    say(get("slow"), milliseconds(sample.slow));
    say(get("flight"), String(sample.flight));
    chart(get("rate-chart"), sample.drawn.rate, `${rounded(sample.rate)} requests a second`);
    chart(get("errors-chart"), sample.drawn.errors, `${rounded(sample.errors)} errors a second`);
    chart(get("slow-chart"), sample.drawn.slow, `slowest 1% take ${milliseconds(sample.slow)}`);
    chart(get("flight-chart"), sample.drawn.flight, `${sample.flight} requests under way`);
  }
  const counts = overview.counts;
  const facts = [
    ...overview.families.map((family) => [
      `Rules, ${family.family}`,
      `${family.fresh ? "as the cluster wants them" : "late"}, last written ${family.last_applied || "never"}`,
    ]),
    ...(overview.service_proxy_serving === false ? [["Services", "not programmed"]] : []),
    ["Router", overview.router_serving === null ? "off" : overview.router_serving ? "serves" : "does not serve"],
    ["Node object", overview.node_eligible ? "allows traffic" : "allows no traffic"],
    ["Endpoints", `${counts.endpoints_ready.toLocaleString("en")} of ${counts.endpoints.toLocaleString("en")} ready`],
    ["Hosts", counts.hosts.toLocaleString("en")],
    ["Requests", `${overview.traffic.requests.toLocaleString("en")}, ${overview.traffic.server_errors.toLocaleString("en")} with 5xx, ${overview.traffic.client_errors.toLocaleString("en")} with 4xx`],
    ["Configuration in force since", overview.since],
    ["Time of this node", overview.now],
  ];
  const list = get("facts");
  facts.forEach(([name, value], at) => {
    if (!list.children[2 * at]) list.append(element("dt"), element("dd"));
    say(list.children[2 * at], name);
    say(list.children[2 * at + 1], value);
  });
  while (list.children.length > 2 * facts.length) list.lastChild.remove();
}

function tag(text, kind) {
  return element("span", text, `tag ${kind}`);
}

const STATES = { ready: "good", draining: "fair", terminating: "fair", "not ready": "bad" };

function endpoints(port) {
  const details = element("details");
  const kind = port.total === 0 || port.ready === 0 ? "bad" : port.ready < port.total ? "fair" : "good";
  const summary = element("summary", `${port.port}: `);
  summary.append(tag(`${port.ready} of ${port.total} ready`, kind));
  const list = element("ul");
  for (const endpoint of port.endpoints) {
    const item = element("li", `${endpoint.address} `);
    item.append(tag(endpoint.state, STATES[endpoint.state] || "fair"));
    const where = [endpoint.local ? "this node" : endpoint.node, endpoint.zone].filter(Boolean).join(", ");
    if (where) item.append(element("span", ` ${where}`, "quiet"));
    // The state says it already where it is used because it is ready.
    if (endpoint.why !== endpoint.state) item.append(element("div", `${endpoint.used ? "in" : "out"}: ${endpoint.why}`, "quiet"));
    list.append(item);
  }
  if (port.total > port.endpoints.length) {
    list.append(element("li", `and ${port.total - port.endpoints.length} more`, "quiet"));
  }
  details.append(summary, list);
  return details;
}

function lines(texts) {
  return texts.map((text) => element("p", text));
}

/** Of each view: what a row is known by, its cells, and what in it changes all the time. */
const DESCRIBE = {
  routes: {
    key: (it) => `${it.object} ${it.field} ${it.host}`,
    cells: (it) => [
      [element("p", `${it.tls ? "https" : "http"}://${it.host}${it.path}`), element("p", it.conditions ? `${it.matches}, and ${it.conditions} conditions` : it.matches, "quiet")],
      lines(it.to),
      [element("p", it.object), element("p", it.field, "quiet")],
      [element("p", "none yet", "quiet traffic"), element("div", undefined, "small-chart")],
    ],
    live(it, row, overview) {
      if (!it.traffic) return;
      const sample = happened(this.key(it), it.traffic, overview);
      const told = row.querySelector(".traffic");
      if (!sample) {
        if (!row.querySelector("svg")) say(told, `${it.traffic.requests.toLocaleString("en")} in all`);
        return;
      }
      say(told, `${rounded(sample.rate)}/s, half in ${milliseconds(sample.half)}, 99% in ${milliseconds(sample.slow)}, ${rounded(sample.errors)} errors/s`);
      chart(row.querySelector(".small-chart"), sample.drawn.rate, `${rounded(sample.rate)} requests a second`);
    },
  },
  services: {
    key: (it) => `${it.namespace}/${it.name}`,
    cells: (it) => [
      [element("p", `${it.namespace}/${it.name}`), element("p", it.elsewhere ? `${it.kind}, another proxy's` : it.kind, "quiet")],
      lines(it.alias_of ? [`alias of ${it.alias_of}`] : it.addresses),
      lines(it.ports.map((port) => `${port.name ? `${port.name} ` : ""}${port.port}/${port.protocol}${port.node_port ? `, node port ${port.node_port}` : ""}`)),
      it.ports.map(endpoints),
    ],
  },
  certificates: {
    key: (it) => `${it.host} ${it.secret}`,
    cells(it) {
      const kind = it.days_left < 0 ? "bad" : it.days_left < 21 ? "fair" : "good";
      const left = it.days_left < 0 ? "over" : `${it.days_left.toLocaleString("en")} days left`;
      return [lines([it.host]), lines([it.secret]), [element("p", it.not_after), tag(left, kind)]];
    },
  },
  problems: {
    key: (it) => `${it.object} ${it.field} ${it.reason} ${it.message}`,
    cells: (it) => [[element("p", it.object), element("p", it.field, "quiet")], [tag(it.reason, "fair")], lines([it.message])],
  },
};

function showList(view, list, overview) {
  const describe = DESCRIBE[view];
  const layout = COLUMNS[view].length === 4 ? "four" : "wide-last";
  const head = get("columns");
  head.className = `row head ${layout}`;
  head.replaceChildren(...COLUMNS[view].map((name) => {
    const cell = element("div", name);
    cell.setAttribute("role", "columnheader");
    return cell;
  }));
  const body = get("rows");
  const wanted = new Set();
  list.items.forEach((item, at) => {
    let key = describe.key(item);
    while (wanted.has(key)) key += " again";
    wanted.add(key);
    // What people have opened or focused stays as it is while nothing about it changes.
    const { traffic, ...fixed } = item;
    const said = JSON.stringify(fixed);
    let row = rows.get(key);
    if (!row || row.dataset.said !== said) {
      const open = row ? [...row.querySelectorAll("details")].map((it) => it.open) : [];
      const made = element("div", undefined, `row ${layout}`);
      made.setAttribute("role", "row");
      made.dataset.said = said;
      describe.cells(item).forEach((children, column) => {
        const cell = element("div", undefined, "cell");
        cell.setAttribute("role", "cell");
        cell.dataset.label = COLUMNS[view][column];
        cell.append(...children);
        made.append(cell);
      });
      made.querySelectorAll("details").forEach((it, index) => { it.open = Boolean(open[index]); });
      if (row) row.replaceWith(made);
      row = made;
      rows.set(key, row);
    }
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
    if (describe.live) describe.live(item, row, overview);
  });
  for (const [key, row] of rows) {
    if (!wanted.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  const first = list.items.length ? list.offset + 1 : 0;
  say(get("found"), list.total ? `${first} to ${list.offset + list.items.length} of ${list.total.toLocaleString("en")}` : "none");
  get("back").disabled = list.offset === 0;
  get("forward").disabled = list.offset + list.items.length >= list.total;
}

function question() {
  const query = new URLSearchParams({ view: state.view });
  if (state.view !== "overview") {
    if (state.filter) query.set("filter", state.filter);
    query.set("offset", String(state.offset));
    query.set("limit", String(PER_PAGE));
  }
  return `/status.json?${query}`;
}

async function refresh() {
  clearTimeout(state.timer);
  const asked = (state.asked += 1);
  const asks = question();
  get("json").href = asks;
  let trouble = "";
  try {
    const response = await fetch(asks, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error((await response.text()).trim());
    const told = await response.json();
    // Answers to questions of before are of no interest.
    if (asked !== state.asked) return;
    showOverview(told.overview);
    if (told.list) showList(state.view, told.list, told.overview);
    document.documentElement.dataset.shown = `${state.view} ${(state.shown += 1)}`;
  } catch (error) {
    if (asked !== state.asked) return;
    trouble = `The agent does not answer: ${error.message}. What is shown is of the time before.`;
  }
  say(get("trouble"), trouble);
  get("trouble").hidden = !trouble;
  if (!state.paused) state.timer = setTimeout(refresh, EVERY);
}

function show() {
  const wanted = location.hash.slice(1);
  if (wanted === "content") return;
  state.view = VIEWS.includes(wanted) ? wanted : "overview";
  state.offset = 0;
  state.filter = "";
  get("filter").value = "";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${state.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  say(get("title"), state.view[0].toUpperCase() + state.view.slice(1));
  rows.clear();
  get("rows").replaceChildren();
  get("columns").replaceChildren();
  say(get("found"), "");
  get("overview-view").hidden = state.view !== "overview";
  get("list-view").hidden = state.view === "overview";
  refresh();
}

function turn(pages) {
  state.offset = Math.max(0, state.offset + pages * PER_PAGE);
  refresh();
}

addEventListener("hashchange", show);
get("search").addEventListener("submit", (event) => event.preventDefault());
get("filter").addEventListener("input", () => {
  state.filter = get("filter").value.trim();
  state.offset = 0;
  refresh();
});
get("back").addEventListener("click", () => turn(-1));
get("forward").addEventListener("click", () => turn(1));
get("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  get("pause").setAttribute("aria-pressed", String(state.paused));
  if (state.paused) clearTimeout(state.timer);
  else refresh();
});
show();
