// Preloaded (node --require) before a vendor's SDK: every connection that the
// SDK opens to one of the vendor's hosts goes to the emulator at EMULATOR_PORT
// of this machine, whatever opens it (http, https, undici's fetch, a library).
// The request itself stays as it is: host name, TLS server name and all. Every
// other connection that would leave this machine is refused, as is the look-up
// of the cloud's metadata service, which a laptop has not got.
'use strict'

const dgram = require('node:dgram')
const dns = require('node:dns')
const net = require('node:net')

const emulator = Number(process.env.EMULATOR_PORT)
if (!emulator) throw new Error('hook.cjs: EMULATOR_PORT is not set')

const vendor = /(^|\.)(tcloudbasegateway\.com|tencentcloudapi\.com|tcloudbase\.com|api\.weixin\.qq\.com)$/
const own = new Set(['127.0.0.1', 'localhost', '::1'])

function refusal(to) {
  return Object.assign(new Error(`hook.cjs: no connection to ${to}`), {code: 'ECONNREFUSED', syscall: 'connect'})
}

const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  // net's own callers pass one array of [options, callback].
  const normal = Array.isArray(args[0])
  const list = normal ? args[0] : args
  let options = list[0]
  if (typeof options !== 'object' || options === null) {
    options = typeof options === 'number' || /^\d+$/.test(options)
      ? {port: Number(options), host: typeof list[1] === 'string' ? list[1] : 'localhost'}
      : {path: options}
  }
  if (options.path && !options.port) return connect.apply(this, args) // a Unix socket
  const host = options.host ?? 'localhost'
  if (own.has(host)) return connect.apply(this, args)
  if (vendor.test(host) && Number(options.port) === 443) {
    const moved = {...options, host: '127.0.0.1', port: emulator, lookup: undefined}
    if (normal) {
      list[0] = moved
      return connect.call(this, list)
    }
    return connect.call(this, moved, ...list.filter(arg => typeof arg === 'function'))
  }
  process.nextTick(() => this.destroy(refusal(`${host}:${options.port}`)))
  return this
}

for (const home of [dns, dns.promises]) {
  for (const name of Object.keys(home)) {
    if (!/^(lookup|resolve|reverse)/.test(name) || typeof home[name] !== 'function') continue
    const real = home[name]
    home[name] = function (host, ...rest) {
      if (own.has(host)) return real.call(home, host, ...rest)
      const error = refusal(`a name server, for ${host}`)
      const done = rest.at(-1)
      if (typeof done !== 'function') return Promise.reject(error)
      process.nextTick(done, error)
    }
  }
}

dgram.createSocket = () => { throw refusal('anything by UDP') }
