// Answers as well as badly as Node can, for the suite beside it: HTTP/1.1 plain
// and over TLS, HTTP/2 by ALPN, and a server that soon closes what is idle.
//
//   node server.mjs CERT KEY     prints the ports as one line of JSON
//
// A request may have an id (?id=); GET /seen?id= tells how often it came.

import {readFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {createServer as createSecure} from 'node:https'
import {createSecureServer} from 'node:http2'
import {gzipSync} from 'node:zlib'

const seen = new Map()
const sleep = ms => new Promise(done => setTimeout(done, ms))

// body returns n bytes, the same each time.
const body = n => Buffer.alloc(n, '0123456789abcdef')

// taken reads a request's body and returns its length.
async function taken(request) {
  let n = 0
  for await (const part of request) n += part.length
  return n
}

// cut breaks what a reply goes over: the stream of HTTP/2, or the connection.
function cut(response) {
  if (response.stream) response.stream.close(2) // INTERNAL_ERROR
  else response.socket.destroy()
}

const paths = {
  async '/echo'(request, response) {
    const n = await taken(request)
    response.end(`${request.method} ${n}`)
  },
  '/bytes'(request, response, ask) {
    const text = body(Number(ask.get('n')))
    response.writeHead(200, {'Content-Type': 'application/octet-stream', 'Content-Length': text.length})
    response.end(text)
  },
  async '/chunks'(request, response, ask) {
    for (let n = Number(ask.get('n')); n > 0; n--) {
      response.write(body(Number(ask.get('size'))))
      if (ask.has('pause')) await sleep(Number(ask.get('pause')))
    }
    response.end()
  },
  '/trailers'(request, response) {
    response.writeHead(200, {Trailer: 'X-Sum'})
    response.write('hello')
    response.addTrailers({'X-Sum': '42'})
    response.end()
  },
  async '/hints'(request, response, ask) {
    for (let n = Number(ask.get('n')); n > 0; n--) {
      response.writeEarlyHints({link: '</style.css>; rel=preload; as=style'})
      await sleep(5)
    }
    response.end('after hints')
  },
  async '/continue'(request, response) {
    response.writeContinue()
    await sleep(5)
    response.end(`continued ${await taken(request)}`)
  },
  '/status'(request, response, ask) {
    response.writeHead(Number(ask.get('code')), {ETag: '"1"'})
    response.end(ask.get('text') ?? undefined)
  },
  '/close'(request, response) {
    response.writeHead(200, {Connection: 'close', 'Content-Length': 2})
    response.end('ok')
  },
  '/until-close'(request, response) {
    response.useChunkedEncodingByDefault = false
    response.removeHeader('Connection')
    response.shouldKeepAlive = false
    response.write('until ')
    response.end('close')
  },
  '/early'(request, response, ask) { // before the body is read
    response.writeHead(Number(ask.get('code')), {'Content-Length': 5})
    response.end('early')
  },
  '/cookies'(request, response) {
    response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2'])
    response.setHeader('X-Latin', 'caf\xe9')
    response.setHeader('X-Empty', '')
    response.end('ok')
  },
  '/gzip'(request, response) {
    const text = gzipSync('hello '.repeat(1000))
    response.writeHead(200, {'Content-Encoding': 'gzip', 'Content-Length': text.length})
    response.end(text)
  },
  async '/slow'(request, response, ask) {
    await sleep(Number(ask.get('ms')))
    response.end('slow')
  },
  async '/slow-body'(request, response, ask) {
    response.writeHead(200, {'Content-Length': 10})
    response.write('slow ')
    await sleep(Number(ask.get('ms')))
    response.end('again')
  },
  '/abort'(request, response) { // before a reply
    cut(response)
  },
  async '/abort-body'(request, response, ask) { // in the middle of one
    const framing = ask.has('length') ? {'Content-Length': 100000} : {}
    response.writeHead(200, framing)
    await new Promise(done => response.write(body(Number(ask.get('after'))), done))
    await sleep(5)
    cut(response)
  },
  '/seen'(request, response, ask) {
    response.end(String(seen.get(ask.get('id')) ?? 0))
  },
}

function answer(request, response) {
  const url = new URL(request.url, 'http://server.example')
  const id = url.searchParams.get('id')
  if (id && url.pathname !== '/seen') seen.set(id, (seen.get(id) ?? 0) + 1)
  const path = paths[url.pathname]
  if (!path) {
    response.writeHead(404)
    response.end('no such path')
    return
  }
  Promise.resolve(path(request, response, url.searchParams)).catch(() => cut(response))
}

const files = {cert: readFileSync(process.argv[2]), key: readFileSync(process.argv[3])}
const impatient = createServer({keepAliveTimeout: 100}, answer)
const servers = {
  plain: createServer(answer),
  tls: createSecure(files, answer),
  // Without those megabytes a large reply that nobody reads would end its connection.
  h2: createSecureServer({...files, allowHTTP1: true, maxSessionMemory: 100}, answer),
  impatient,
}
const ports = {}
for (const [name, server] of Object.entries(servers)) {
  if (name !== 'impatient' && name !== 'h2') server.keepAliveTimeout = 60_000
  server.on('clientError', (error, socket) => socket.destroy())
  await new Promise(done => server.listen({port: 0, host: '127.0.0.1', backlog: 4096}, done))
  ports[name] = server.address().port
}
console.log(JSON.stringify(ports))
process.stdin.on('end', () => process.exit(0)).resume() // with the one who started it
