// What test.mjs and compare.mjs share: the emulator, the clients' processes, and
// an end to all of them.

import {fork, spawn} from 'node:child_process'
import {once} from 'node:events'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const here = dirname(fileURLToPath(import.meta.url))

// given are the credentials of sdk.yaml. They open nothing.
export const given = {
  secretID: 'AKIDofThePair', secretKey: 'keyOfThePair0000000000000000000',
  sessionID: 'AKIDofTheSession', sessionKey: 'keyOfTheSession000000000000000', sessionToken: 'token-of-the-session',
  apiKey: 'api-key-of-the-environment', publishableKey: 'publishable-key-of-the-environment',
  user: 'user1', password: 'Correct horse 1',
}

// environment is what child processes get: nothing of the caller's but the path,
// so that neither credentials nor proxies of his leak in.
export function environment(scratch, more = {}) {
  const {PATH, SystemRoot} = process.env
  return {
    PATH, ...SystemRoot && {SystemRoot}, HOME: scratch, TMPDIR: scratch,
    SECRET_KEY: given.secretKey, SESSION_KEY: given.sessionKey, SESSION_TOKEN: given.sessionToken,
    API_KEY: given.apiKey, PUBLISHABLE_KEY: given.publishableKey, PASSWORD: given.password, ...more,
  }
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
  const child = spawn(volley, ['emulate', join(here, 'sdk.yaml'), '--listen', '127.0.0.1:0', '--tls', '--ca-out', ca, ...args],
    {env: environment(scratch), stdio: ['ignore', 'pipe', 'pipe']})
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
  const child = fork(join(here, 'client.cjs'), [], {
    execArgv: ['--require', join(here, 'hook.cjs')],
    env: environment(scratch, {EMULATOR_PORT: String(emulator.port), NODE_EXTRA_CA_CERTS: emulator.ca}),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let said = ''
  child.stderr.on('data', text => { said = (said + text).slice(-4000) })
  const came = []
  child.on('message', line => came.push(line))
  child.send(attempts)
  const end = await ended(child, 60_000, 'a client').catch(error => error)
  while (came.length < attempts.length) came.push(`nothing: the client ended with ${end?.message ?? end}: ${said.trim()}`)
  return came
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
