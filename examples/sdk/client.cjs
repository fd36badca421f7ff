// The vendor's SDKs behind one face. connect returns {call(name, data)}; what
// call returns or throws is what the SDK made of the reply, and describe says it
// in a line. Started by node, with the hook preloaded, it does the cases that it
// is sent and sends back what came of each.
'use strict'

const {join} = require('node:path')
const page = require('./page.cjs')

const env = 'test-env-1a2b3c'

// keys are credentials as the SDKs for servers take them.
const keys = {
  'secret pair': given => ({secretId: given.secretID, secretKey: given.secretKey}),
  'session token': given => ({secretId: given.sessionID, secretKey: given.sessionKey, sessionToken: given.sessionToken}),
  'API key': given => ({accessKey: given.apiKey}),
}

function nodeSDK(pack, credential, given, timeout) {
  const app = require(pack).init({env, region: given.region, ...keys[credential](given)})
  return {call: (name, data, more) => app.callFunction({name, data, ...more}, {timeout})}
}

// jsNode is the build of js-sdk 3 for servers.
function jsNode(credential, given, timeout) {
  const {accessKey, ...auth} = keys[credential](given)
  const app = require('js-sdk-3').init({env, timeout, ...accessKey ? {accessKey} : {auth}})
  return {call: (name, data, more) => app.callFunction({name, data, ...more})}
}

// signIn signs a page's user in, by each version's own words for it.
const signIn = {
  'js-sdk-3': (auth, credential, {user: username, password}) => ({
    anonymous: () => auth.signInAnonymously(), password: () => auth.signInWithPassword({username, password}),
  })[credential]?.(),
  'js-sdk-2': (auth, credential, {user: username, password}) => ({
    anonymous: () => auth.signInAnonymously(), password: () => auth.signIn({username, password}),
  })[credential]?.(),
  'js-sdk-1': (auth, credential, {user, password}) => ({
    anonymous: () => auth.anonymousAuthProvider().signIn(), password: () => auth.signInWithUsernameAndPassword(user, password),
  })[credential]?.(),
}

// jsPage is a build for browsers, in a page of its own.
async function jsPage(pack, credential, given, timeout) {
  const opened = page.open()
  // Bundlers put this in the place of 1.x's process.env.
  if (pack === 'js-sdk-1') opened.window.process = {env: {NODE_ENV: 'production'}}
  const home = join(__dirname, 'node_modules', pack)
  let cloudbase = page.load(opened, join(home, 'dist/index.cjs.js'))
  cloudbase = cloudbase.default ?? cloudbase
  const config = {env, region: given.region, timeout}
  if (credential === 'access key') config.accessKey = given.publishableKey
  const app = cloudbase.init(config)
  const signed = await signIn[pack](app.auth({persistence: 'local'}), credential, given)
  if (signed?.error) throw signed.error // 3.x returns it
  return {call: (name, data, more) => app.callFunction({name, data, ...more})}
}

// manager is what the vendor's command line uses: the control plane.
function manager(credential, given) {
  const {secretId, secretKey, sessionToken} = keys[credential](given)
  const Manager = require('@cloudbase/manager-node')
  const app = new Manager({secretId, secretKey, token: sessionToken, envId: env, region: 'ap-shanghai'})
  return {call: (name, data) => app.functions.invokeFunction(name, data)}
}

// connect makes a client of the SDK, signed in where its credential asks for it.
// timeout is what the SDK is told to wait for a reply, in milliseconds.
async function connect(sdk, credential, given, timeout) {
  switch (sdk) {
    case 'node-sdk-3': case 'node-sdk-2': return nodeSDK(sdk, credential, given, timeout)
    case 'js-sdk-3 node': return jsNode(credential, given, timeout)
    case 'js-sdk-3': case 'js-sdk-2': case 'js-sdk-1': return jsPage(sdk, credential, given, timeout)
    case 'manager-node': return manager(credential, given)
    default: throw new Error(`client.cjs: there is no SDK ${sdk}`)
  }
}

// returned says what a call returned: a value, or a failure that was not thrown.
function returned(got) {
  const id = got?.requestId ?? got?.RequestId ? ' (id)' : ''
  if (got?.code) return `returned ${got.code}${id}`
  if (got && 'RetMsg' in got) return `InvokeResult ${got.InvokeResult} ${got.RetMsg || got.ErrMsg}${id}`
  return `value ${JSON.stringify(got?.result)}${id}`
}

// thrown says what was thrown. The SDKs for browsers put JSON into the message.
function thrown(error) {
  let {code, message} = error ?? {}
  try {
    const inner = JSON.parse(message)
    code = inner.code
    message = inner.msg ?? inner.message
  } catch {} // most messages are plain text
  code ??= error?.error ?? error?.error_code
  message ??= error?.error_description ?? JSON.stringify(error)
  const id = error?.requestId || error?.request_id ? ' (id)' : ''
  return `thrown ${error?.constructor?.name} ${code || '-'}: ${String(message).replaceAll(/\s+/g, ' ')}${id}`
}

// attempt does one case; clients keeps those that are signed in already.
async function attempt({sdk, credential, given, fn, data, more, timeout}, clients) {
  const key = JSON.stringify([given, timeout])
  let client
  try {
    client = await (clients.get(key) ?? clients.set(key, connect(sdk, credential, given, timeout)).get(key))
  } catch (error) {
    return `sign-in ${thrown(error)}`
  }
  try {
    return returned(await client.call(fn, data, more))
  } catch (error) {
    return thrown(error)
  }
}

if (require.main === module) {
  // What an SDK does beside the call (a look-up of who is signed in) may fail
  // with the call; in a page that is a line in the console.
  process.on('unhandledRejection', error => process.stderr.write(`beside the call: ${thrown(error)}\n`))
  process.on('message', async attempts => {
    const clients = new Map()
    for (const one of attempts) {
      if (one.pause) await new Promise(done => setTimeout(done, one.pause))
      process.send(await attempt(one, clients))
    }
    process.exit() // an SDK's timers and sockets may live on
  })
}

module.exports = {connect, env}
