// A web page, as far as an SDK built for browsers can tell: jsdom's window with
// its XMLHttpRequest and storage, the SDK evaluated inside it (no `process`, no
// `require`), and the one thing jsdom lacks, fetch with CORS.
'use strict'

const {readFileSync} = require('node:fs')
const {createRequire, isBuiltin} = require('node:module')
const {dirname} = require('node:path')
const vm = require('node:vm')
const {JSDOM, VirtualConsole} = require('jsdom')

const origin = 'https://app.example.com'

// open returns a page at origin: its window, and the context that scripts run in.
function open() {
  const dom = new JSDOM('<!doctype html><title>page</title>', {
    url: `${origin}/`, runScripts: 'outside-only', pretendToBeVisual: true, virtualConsole: new VirtualConsole(),
  })
  const {window} = dom
  // jsdom's own AbortController is of another make than the fetch below takes.
  Object.assign(window, {fetch: corsFetch(), Headers, Response, Request, AbortController, AbortSignal, TextEncoder, TextDecoder, ReadableStream})
  return {window, context: dom.getInternalVMContext()}
}

// corsFetch is fetch as a page at origin has it: with Origin, a preflight where
// the Fetch standard asks for one, and no look at a reply that does not allow it.
function corsFetch() {
  const asked = new Map()
  const allows = (reply, list, what) => {
    const allowed = (reply.headers.get(list) ?? '').toLowerCase().split(',').map(s => s.trim())
    return allowed.includes('*') || allowed.includes(what.toLowerCase())
  }
  const check = (reply, url) => {
    const allowed = reply.headers.get('access-control-allow-origin')
    if (allowed !== origin && allowed !== '*') throw new TypeError(`CORS: ${url} does not allow ${origin}, but ${allowed}`)
  }
  return async (input, options = {}) => {
    const url = String(input)
    const method = (options.method ?? 'GET').toUpperCase()
    const headers = new Headers(options.headers)
    if (options.body !== undefined && !headers.has('content-type')) headers.set('content-type', 'text/plain;charset=UTF-8')
    const names = [...headers.keys()].filter(name => !simple(name, headers.get(name))).sort()
    const key = [method, url, ...names].join(' ')
    if ((names.length > 0 || !['GET', 'HEAD', 'POST'].includes(method)) && !asked.has(key)) {
      const reply = await fetch(url, {method: 'OPTIONS', headers: {
        Origin: origin, 'Access-Control-Request-Method': method,
        ...names.length > 0 && {'Access-Control-Request-Headers': names.join(',')},
      }})
      check(reply, url)
      if (!reply.ok) throw new TypeError(`CORS: the preflight of ${url} is answered ${reply.status}`)
      if (!['GET', 'HEAD', 'POST'].includes(method) && !allows(reply, 'access-control-allow-methods', method)) throw new TypeError(`CORS: ${url} does not allow ${method}`)
      for (const name of names) if (!allows(reply, 'access-control-allow-headers', name)) throw new TypeError(`CORS: ${url} does not allow the header ${name}`)
      asked.set(key, true)
    }
    headers.set('Origin', origin)
    const reply = await fetch(url, {...options, method, headers})
    check(reply, url)
    return reply
  }
}

// simple says whether a header needs no preflight (Fetch standard, CORS-safelisted).
function simple(name, value) {
  if (name === 'content-type') return /^(text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)(;|$)/i.test(value)
  return ['accept', 'accept-language', 'content-language'].includes(name)
}

// load evaluates a CommonJS file, and all that it requires, inside the page. A
// built-in module (1.x wants `buffer`) is what a bundler would have put there.
function load(page, file, loaded = new Map()) {
  if (loaded.has(file)) return loaded.get(file).exports
  const module = {exports: {}}
  loaded.set(file, module)
  const text = readFileSync(file, 'utf8')
  if (file.endsWith('.json')) {
    module.exports = JSON.parse(text)
    return module.exports
  }
  const {resolve} = createRequire(file)
  const script = new vm.Script(`(function (module, exports, require, __dirname) {${text}\n})`, {filename: file})
  const body = script.runInContext(page.context)
  body.call(module.exports, module, module.exports, name => isBuiltin(name) ? require(name) : load(page, resolve(name), loaded), dirname(file))
  return module.exports
}

module.exports = {open, load, origin}
