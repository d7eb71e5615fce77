// SPDX-License-Identifier: MIT

// Which view is shown, and when it is loaded again.

const VIEWS = {
  leaks: leaksView, leak: leakView, connections: connectionsView,
  exchanges: exchangesView, exchange: exchangeView, reuse: reuseView,
  health: healthView, report: reportView };

// A view costs the workers a snapshot: it is loaded again when something has
// happened, and never takes more than a twentieth of the time.
const REST_FACTOR = 20;
const SHORTEST_REST_MS = 1000;
const QUIET_REST_MS = 3000;

const state = {
  summary: null,   // the newest
  shown: null,     // the summary's numbers when the view was loaded
  route: null,
  loading: null,   // the route that is being loaded
  loadedAt: 0,
  tookMs: 0,
  lost: null,      // {since, nextAt, reason}
};

function node(id) {
  return document.getElementById(id);
}

// For those who do not see what has changed.
function say(text) {
  node('spoken').textContent = text;
}

// ---- routes ----

function readRoute() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, id = ''] = path.split('/');
  const isKnown = Object.hasOwn(VIEWS, name);
  return { name: isKnown ? name : 'leaks', id: encodeURIComponent(id),
    query: isKnown ? Object.fromEntries(new URLSearchParams(query)) : {} };
}

function markCurrent(name) {
  for (const link of document.querySelectorAll('header nav a')) {
    const view = link.getAttribute('href').slice(2);
    if (view === name || view === `${name}s`)
      link.setAttribute('aria-current', 'page');
    else
      link.removeAttribute('aria-current');
  }
}

function refusalNode(error) {
  return [el('h2', { tabindex: -1 }, 'Not found, or refused'),
    el('p', { class: 'warning' }, foreign(error.message, 400))];
}

// Shows the content: in place of the view before, or as its newer state.
function show(content, isFresh) {
  const view = node('view');
  const fresh = el('div', { id: 'view' }, content);
  if (isFresh)
    view.replaceChildren(...fresh.childNodes);
  else
    patch(view, fresh);
  node('token').hidden = true;
  view.hidden = false;
}

async function loadInto(route, isFresh) {
  const view = VIEWS[route.name];
  const began = performance.now();
  let content;
  try {
    const data = await view.load(route.query, route.id);
    if (state.route !== route)
      return;
    content = view.render(data, route.query);
    state.shown = JSON.stringify(state.summary?.totals);
  } catch (error) {
    if (state.route !== route)
      return;
    if (error.status === 401)
      askForToken(error);
    // Others are the network's, and the stream tells of them.
    if (error.status === 401 || error.status === undefined)
      return;
    content = refusalNode(error);
  }
  state.tookMs = performance.now() - began;
  state.loadedAt = performance.now();
  show(content, isFresh);
  title(view);
}

async function load(isFresh) {
  const route = state.route;
  if (state.loading === route)
    return;
  state.loading = route;
  try {
    await loadInto(route, isFresh);
  } finally {
    if (state.loading === route)
      state.loading = null;
  }
}

function title(view) {
  const held = state.summary?.totals.held_now;
  document.title = `${held > 0 ? `(${number(held)} held) ` : ''}` +
    `${view.title} · leakproxy`;
}

async function go() {
  const isFirst = state.route === null;
  state.route = readRoute();
  markCurrent(state.route.name);
  const route = state.route;
  await load(true);
  // Who follows a link is taken to where it leads.
  if (!isFirst && state.route === route)
    node('view').querySelector('h2')?.focus();
}

// ---- the token ----

function askForToken({ token }) {
  // Another may have been entered since.
  if (token !== sessionStorage.getItem(TOKEN_KEY))
    return;
  sessionStorage.removeItem(TOKEN_KEY);
  stream.stop();
  node('token').hidden = false;
  node('view').hidden = true;
  node('token-wrong').textContent =
    token !== null ? 'That is not the token of this proxy.' : '';
  node('link').textContent = 'waiting for the token';
  node('token-value').focus();
}

function takeToken(event) {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, node('token-value').value.trim());
  node('token-value').value = '';
  node('link').textContent = 'connecting';
  stream.start();
  load(true);
}

// ---- live ----

function isDue() {
  const age = performance.now() - state.loadedAt;
  const rest = Math.max(SHORTEST_REST_MS, REST_FACTOR * state.tookMs);
  const hasChanged = JSON.stringify(state.summary.totals) !== state.shown;
  return age > (hasChanged ? rest : Math.max(QUIET_REST_MS, rest));
}

function announce(before, summary) {
  if (before === null || summary.leaks <= before.leaks)
    return;
  say(`${plural(summary.leaks - before.leaks, 'new leak')}: ` +
    `${plural(summary.totals.held_now, 'response')} held now.`);
}

function onSummary(summary) {
  announce(state.summary, summary);
  state.summary = summary;
  node('link').textContent = `live · ${plural(summary.leaks, 'leak')}, ` +
    `${number(summary.totals.held_now)} held`;
  title(VIEWS[state.route.name]);
  if (isDue())
    load(false);
}

function showLost() {
  const { since, nextAt, reason } = state.lost;
  const seconds = Math.max(0, Math.ceil((nextAt - Date.now()) / 1000));
  node('lost-text').textContent = `Connection lost since ${clock(since)} ` +
    `(${visible(shorten(reason))}). What you see is from then. ` +
    (seconds > 0 ? `Next attempt in ${seconds} s.` : 'Trying again …');
}

function onLost(error, waitMs) {
  state.lost = { since: state.lost?.since ?? Date.now(),
    nextAt: Date.now() + waitMs, reason: error.message };
  node('lost').hidden = false;
  document.body.classList.add('is-lost');
  node('link').textContent = 'not connected';
  showLost();
}

function onOpen() {
  if (state.lost !== null) {
    say('Connected again.');
    state.lost = null;
    node('lost').hidden = true;
    document.body.classList.remove('is-lost');
  }
  load(false);
}

const stream = new Stream({
  onEvent: (name, data) => {
    if (name === 'summary')
      onSummary(JSON.parse(data));
  },
  onOpen, onLost, onRefused: askForToken });

// Nobody looks: nothing is asked.
function onVisibility() {
  if (document.hidden)
    stream.stop();
  else
    stream.start();
}

async function onClick(event) {
  const button = event.target.closest('button[data-do]');
  if (button === null)
    return;
  try {
    await ACTIONS[button.dataset.do](button.dataset.id);
  } catch (error) {
    say(`That did not work: ${visible(error.message)}`);
  }
}

let resizing;

function onResize() {
  clearTimeout(resizing);
  resizing = setTimeout(() => load(false), 200);
}

node('token').addEventListener('submit', takeToken);
node('retry').addEventListener('click', () => stream.start());
node('view').addEventListener('click', onClick);
addEventListener('hashchange', go);
addEventListener('resize', onResize);
document.addEventListener('visibilitychange', onVisibility);
setInterval(() => state.lost !== null && showLost(), 1000);
go();
onVisibility();
