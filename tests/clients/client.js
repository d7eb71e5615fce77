// SPDX-License-Identifier: MIT

// A labelled client in Node: the http module, and fetch (undici).  cases.py
// says what each manner means and how a client is driven.
'use strict';

const http = require('http');
const https = require('https');
const readline = require('readline');
const tls = require('tls');

const [manner, target, tags] = process.argv.slice(2);
const proxy = new URL(process.env.HTTP_PROXY);
const held = [];

// The http module knows no proxies: a plain request is given its whole URL ...
function proxied(url) {
  const headers = { 'Leakproxy-Tag': tags };
  if (url.protocol === 'https:')
    return [url, { agent: tunnels, headers }];
  return [{ host: proxy.hostname, port: proxy.port, path: url.href,
            agent, headers: { ...headers, Host: url.host } }];
}

// ... and TLS goes through a CONNECT.
class TunnelAgent extends https.Agent {
  createConnection(options, done) {
    const authority = `${options.host}:${options.port}`;
    http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT',
                   path: authority, headers: { Host: authority } })
      .on('connect', (answer, socket) =>
        done(null, tls.connect({ socket, servername: options.host })))
      .on('error', done)
      .end();
  }
}

const agent = new http.Agent({ keepAlive: true });
const tunnels = new TunnelAgent({ keepAlive: true });

function httpGet(href) {
  const url = new URL(href);
  const { get } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) =>
    get(...proxied(url), resolve).on('error', reject));
}

async function httpDrain(url) {
  const response = await httpGet(url);
  let read = 0;
  for await (const chunk of response)
    read += chunk.length;
  return { status: response.statusCode, read };
}

async function httpLeave(url) {
  const response = await httpGet(url);
  held.push(response);
  return { status: response.statusCode, read: 0 };
}

function makeFetch() {
  const { fetch, ProxyAgent } = require('undici');
  const dispatcher = new ProxyAgent(process.env.HTTP_PROXY);
  return (url) => fetch(url, { dispatcher, headers: { 'Leakproxy-Tag': tags } });
}

function fetchDrain() {
  const get = makeFetch();
  return async (url) => {
    const response = await get(url);
    const body = await response.arrayBuffer();
    return { status: response.status, read: body.byteLength };
  };
}

function fetchLeave() {
  const get = makeFetch();
  return async (url) => {
    const response = await get(url);
    held.push(response);
    return { status: response.status, read: 0 };
  };
}

const manners = {
  http_drain: () => httpDrain,
  http_leave: () => httpLeave,
  fetch_drain: fetchDrain,
  fetch_leave: fetchLeave,
};

function say(what) {
  process.stdout.write(JSON.stringify(what) + '\n');
}

async function main() {
  const take = manners[manner]();
  let step = 0;
  say({ ready: true });
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    step++;
    try {
      say({ step, ...await take(`${target}?step=${step}`) });
    } catch (error) {
      say({ step, error: `${error} ${error.cause || ''}` });
    }
  }
  process.exit(0);
}

main();
