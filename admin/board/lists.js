// SPDX-License-Identifier: MIT

// Connections, exchanges, reuse, health and the report.

const CONNECTION_COLUMNS = [
  { name: 'connection', isHead: true, of: (conn) => conn.id },
  { name: 'state', of: (conn) => conn.close_reason === null ? conn.state
    : `${conn.state}: ${conn.close_reason}` },
  { name: 'caller', of: (conn) => ownerText(conn) },
  { name: 'address', of: (conn) => foreign(conn.client_address) },
  { name: 'origin', of: (conn) => foreign(conn.origin ?? conn.target) },
  { name: 'tags', of: (conn) => tagList(conn.tags) },
  { name: 'exchanges', isNumber: true, of: (conn) => number(conn.exchanges) },
  { name: 'received', isNumber: true,
    of: (conn) => bytes(conn.received_bytes) },
  { name: 'sent', isNumber: true, of: (conn) => bytes(conn.sent_bytes) },
  { name: 'age', isNumber: true, of: (conn) => duration(conn.age_s) }];

const CONNECTION_FILTERS = [
  { name: 'state', label: 'state', options: ['', 'active', 'idle', 'watched',
    'closed'] },
  ORIGIN_FILTER, TAG_FILTER, filterOf('age>1m command=api*'),
  { name: 'sort', label: 'by', options: ['newest', 'oldest', 'exchanges',
    'sent_bytes'] }];

const EXCHANGE_COLUMNS = [
  { name: 'exchange', isHead: true, of: (one) =>
    el('a', { href: `#/exchange/${one.id}` }, one.id) },
  { name: 'began', of: (one) => moment(one.began_at) },
  { name: 'request', of: (one) => foreign(`${one.method} ${one.url}`) },
  { name: 'status', isNumber: true, of: (one) => number(one.status) },
  { name: 'verdict', of: (one) => one.evidence === null ? one.verdict
    : `${one.verdict}: ${one.evidence}` },
  { name: 'tags', of: (one) => tagList(one.tags) },
  { name: 'body', isNumber: true, of: (one) => bytes(one.body_bytes) },
  { name: 'unread', isNumber: true, of: (one) => bytes(one.unread_bytes) }];

const EXCHANGE_FILTERS = [
  { name: 'verdict', label: 'verdict', options: ['', 'undrained', 'suspected',
    'open', 'drained', 'abandoned', 'unproven', 'none'] },
  ORIGIN_FILTER, TAG_FILTER, filterOf('status>=400 duration>2s')];

// A view that is one list in pages.
function listView({ name, title, columns, filters }) {
  return {
    title,
    load: (query) => loadList(`/api/${name}`, query),
    render(list, query) {
      return [
        el('h2', { tabindex: -1 }, title),
        filterForm(name, query, filters),
        list[name].length > 0 &&
          table(title, columns, list[name], (item) => item.id),
        pager(name, query, list, list[name].length)];
    },
  };
}

const connectionsView = listView({ name: 'connections', title: 'Connections',
  columns: CONNECTION_COLUMNS, filters: CONNECTION_FILTERS });

const exchangesView = listView({ name: 'exchanges', title: 'Exchanges',
  columns: EXCHANGE_COLUMNS, filters: EXCHANGE_FILTERS });

// ---- reuse ----

const REUSE_COLUMNS = [
  { name: 'origin', isHead: true, of: (reuse) => foreign(reuse.origin) },
  { name: 'tags', of: (reuse) => tagList(reuse.tags) },
  { name: 'connections', isNumber: true,
    of: (reuse) => number(reuse.connections) },
  { name: 'exchanges', isNumber: true, of: (reuse) => number(reuse.exchanges) },
  { name: 'each', isNumber: true,
    of: (reuse) => rough(reuse.exchanges_per_connection) },
  { name: 'one-shot', isNumber: true, of: (reuse) => number(reuse.one_shot) },
  { name: 'closed after one', isNumber: true,
    of: (reuse) => number(reuse.closed_after_one) },
  { name: 'closed early', isNumber: true,
    of: (reuse) => number(reuse.early_closes) },
  { name: 'half-sent', isNumber: true, of: (reuse) => number(reuse.half_sent) },
  { name: 'so', of: (reuse) => reuse.says }];

const MOST_REUSE_ROWS = 200;

const reuseView = {
  title: 'Reuse',
  load: () => askJson('/api/reuse'),
  render({ reuse }) {
    const shown = reuse.slice(0, MOST_REUSE_ROWS);
    return [
      el('h2', { tabindex: -1 }, 'How connections are reused'),
      reuse.length === 0 ? el('p', {}, 'No connection has been used yet.')
        : table('By origin and tags', REUSE_COLUMNS, shown),
      shown.length < reuse.length && el('p', {},
        `and ${number(reuse.length - shown.length)} more in /api/reuse`)];
  },
};

// ---- health ----

const DISTRUST_COLUMNS = [
  { name: 'caller', isHead: true, of: ownerText },
  { name: 'address', of: (item) => foreign(item.peer) },
  { name: 'to', of: (item) => foreign(item.target) },
  { name: 'TLS alert', of: (item) => foreign(item.alert) },
  { name: 'connections', isNumber: true,
    of: (item) => number(item.connections) }];

const ERROR_COLUMNS = [
  { name: 'origin', isHead: true, of: (item) => foreign(item.origin) },
  { name: 'error', of: (item) => foreign(item.error) },
  { name: 'exchanges', isNumber: true, of: (item) => number(item.exchanges) },
  { name: 'last seen', of: (item) => moment(item.last_seen) },
  { name: 'example', of: (item) =>
    el('a', { href: `#/exchange/${item.example}` }, item.example) }];

function distrustSection({ trust_refused: refused, counters }) {
  const count = counters.client_handshakes_refused;
  return el('section', { 'aria-labelledby': 'distrust' },
    el('h3', { id: 'distrust' }, 'Callers that do not trust the CA'),
    count === 0 ? el('p', {}, 'None.')
      : el('p', { class: 'warning' },
        `${plural(count, 'TLS handshake')} refused. \`leakproxy ca ` +
        'install-hints` says what makes them trust it, or use --passthrough ' +
        'for pinned hosts.'),
    refused.length > 0 && table('By caller', DISTRUST_COLUMNS, refused));
}

const healthView = {
  title: 'Health',
  load: () => askJson('/api/health'),
  render(health) {
    const word = (name) => name.replaceAll('_', ' ');
    return [
      el('h2', { tabindex: -1 }, 'Health of the proxy'),
      distrustSection(health),
      el('section', { 'aria-labelledby': 'errors' },
        el('h3', { id: 'errors' }, 'Errors that callers were answered with'),
        health.errors.length === 0 ? el('p', {}, 'None in memory.')
          : table('By origin', ERROR_COLUMNS, health.errors)),
      el('section', { 'aria-labelledby': 'now' },
        el('h3', { id: 'now' }, 'Connections now'),
        facts(Object.entries(health.connections).map(([name, value]) =>
          [word(name), number(value)]))),
      el('section', { 'aria-labelledby': 'counters' },
        el('h3', { id: 'counters' }, 'Counters'),
        facts(Object.entries(health.counters).map(([name, value]) =>
          [word(name), name.endsWith('bytes') ? bytes(value)
            : number(value)])))];
  },
};

// ---- the report ----

const reportView = {
  title: 'Report',
  load: async () => (await ask('/report?columns=100')).text(),
  render: (text) => [
    el('h2', { tabindex: -1 }, 'Report'),
    el('pre', { tabindex: 0, 'aria-label': 'Report as text', class: 'report' },
      visible(text.trimEnd()).replaceAll('\\u000a', '\n'))],
};
