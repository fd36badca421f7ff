// What test.mjs and compare.mjs share: the emulator, the clients' processes, and
// an end to all of them.

import {fork, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {get} from 'node:https'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const env = 'test-env-1a2b3c'
export const here = dirname(fileURLToPath(import.meta.url))

// given are the credentials of sdk.yaml. They open nothing.
export const given = {
  secretID: 'AKIDofThePair', secretKey: 'keyOfThePair0000000000000000000',
  sessionID: 'AKIDofTheSession', sessionKey: 'keyOfTheSession000000000000000', sessionToken: 'token-of-the-session',
  apiKey: 'api-key-of-the-environment', publishableKey: 'publishable-key-of-the-environment',
  user: 'user1', password: 'Correct horse 1', appID: 'wx0123456789abcdef', appSecret: 'secret-of-the-app',
}

// environment is what child processes get: nothing of the caller's but the path,
// so that neither credentials nor proxies of his leak in.
export function environment(scratch, more = {}) {
  const {PATH, SystemRoot} = process.env
  return {
    PATH, ...SystemRoot && {SystemRoot}, HOME: scratch, TMPDIR: scratch,
    SECRET_ID: given.secretID, SECRET_KEY: given.secretKey, SESSION_ID: given.sessionID, SESSION_KEY: given.sessionKey, SESSION_TOKEN: given.sessionToken,
    API_KEY: given.apiKey, PUBLISHABLE_KEY: given.publishableKey, USERNAME: given.user, PASSWORD: given.password, APP_ID: given.appID, APP_SECRET: given.appSecret, ...more,
  }
}

const children = new Set()

// started notes a child, so that it does not outlive this process.
export function started(child) {
  children.add(child)
  child.on('exit', () => children.delete(child))
  return child
}

// bounded ends this process, and what it started, after so many seconds.
export function bounded(seconds) {
  const stop = why => {
    console.error(`sdk: ${why}`)
    process.exit(1)
  }
  process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal))
  setTimeout(stop, seconds * 1000, `not done after ${seconds} s`).unref()
}

// ended waits for a child, and kills it after ms milliseconds.
export async function ended(child, ms, what) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  let late = false
  const timer = setTimeout(() => { late = true; child.kill('SIGKILL') }, ms)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  if (late) throw new Error(`${what} had not ended after ${ms / 1000} s`)
  return code
}

// emulate starts `volley emulate sdk.yaml` on a free port. arguments follow it.
export async function emulate(volley, scratch, name, args = []) {
  const ca = join(scratch, `${name}.pem`)
  const child = started(spawn(volley, ['emulate', join(here, 'sdk.yaml'), '--listen', '127.0.0.1:0', '--tls', '--ca-out', ca, ...args],
    {env: environment(scratch), stdio: ['ignore', 'pipe', 'pipe']}))
  let out = '', said = ''
  child.stderr.on('data', text => { said = (said + text).slice(-4000) })
  const port = await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`the emulator does not listen after 20 s:\n${said}`)), 20_000)
    child.on('error', fail)
    child.on('exit', code => fail(new Error(`the emulator ended with ${code}:\n${said}`)))
    child.stdout.on('data', text => {
      out += text
      const found = /^listening on https:\/\/127\.0\.0\.1:(\d+)/m.exec(out)
      if (!found) return
      clearTimeout(timer)
      done(Number(found[1]))
    })
  }).catch(error => { child.kill('SIGKILL'); throw error })
  return {
    port, ca,
    async stop() {
      if (child.exitCode === null) child.kill('SIGTERM')
      await ended(child, 10_000, 'the emulator').catch(() => {})
    },
  }
}

// call has one process of client.cjs make these attempts, and returns what came
// of each. An attempt that nothing comes of within a minute ends the process.
export async function call(emulator, scratch, attempts) {
  const child = started(fork(join(here, 'client.cjs'), [], {
    execArgv: ['--require', join(here, 'hook.cjs')],
    env: environment(scratch, {EMULATOR_PORT: String(emulator.port), NODE_EXTRA_CA_CERTS: emulator.ca}),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  }))
  let said = ''
  child.stderr.on('data', text => { said = (said + text).slice(-4000) })
  const came = []
  child.on('message', line => came.push(line))
  child.send(attempts)
  const end = await ended(child, 60_000, 'a client').catch(error => error)
  while (came.length < attempts.length) came.push(`nothing: the client ended with ${end?.message ?? end}: ${said.trim()}`)
  return came
}

// sealed tries to get past the hook in every way that there is, and returns what
// each way came to.
export async function sealed(emulator, scratch) {
  const script = `
    const refused = attempt => attempt.then(() => 'connected', error => (error.cause ?? error).code)
    const {lookup} = require('node:dns').promises, net = require('node:net'), tls = require('node:tls'), http = require('node:http')
    const heard = socket => new Promise((done, fail) => socket.on('connect', done).on('response', done).on('error', fail))
    Promise.all([
      refused(fetch('https://example.com/')), refused(heard(http.get('http://metadata.tencentyun.com/'))),
      refused(heard(net.connect(443, '192.0.2.1'))), refused(heard(tls.connect({host: 'otheve.beacon.qq.com', port: 443}))), refused(lookup('example.com')),
    ]).then(all => { console.log(all.join(' ')); process.exit() })`
  const child = started(spawn(process.execPath, ['--require', join(here, 'hook.cjs'), '--eval', script],
    {env: environment(scratch, {EMULATOR_PORT: String(emulator.port)}), stdio: ['ignore', 'pipe', 'inherit']}))
  let out = ''
  child.stdout.on('data', text => { out += text })
  await ended(child, 20_000, 'the try to get past the hook')
  return out.trim()
}

// recorder reads what an emulator recorded since it was last asked. The record
// is written behind the answers, so a mark of ours says how far to wait.
export function recorder(emulator, file) {
  let marks = 0, seen = 0
  return async () => {
    const mark = `/mark-${++marks}`
    const {port} = emulator
    await new Promise((done, fail) => get({port, path: mark, ca: readFileSync(emulator.ca), timeout: 5000}, reply => reply.resume().on('end', done)).on('error', fail))
    for (const until = Date.now() + 10_000; Date.now() < until; await new Promise(done => setTimeout(done, 20))) {
      const text = await readFile(file, 'utf8')
      const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).slice(1).map(line => JSON.parse(line)).sort((a, b) => a.seq - b.seq)
      const end = lines.find(({path}) => path === mark)
      if (!end) continue
      const fresh = lines.filter(({seq}) => seq > seen && seq < end.seq)
      seen = end.seq
      return fresh
    }
    throw new Error(`${mark} is not in the record after 10 s`)
  }
}

// pool runs jobs, at most n at a time, and returns their results in order.
export async function pool(n, jobs) {
  const results = []
  let next = 0
  await Promise.all(Array.from({length: n}, async () => {
    while (next < jobs.length) {
      const i = next++
      results[i] = await jobs[i]()
    }
  }))
  return results
}
