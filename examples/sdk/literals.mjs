// The requests of the methods that no SDK sends from here, written out from the
// vendor's documentation (PROTOCOL.md 1.1, 1.3, 2.2, 3, 6 and 9): each with the
// step that is to make volley send them, and nothing else.

import {env, given} from './suite.mjs'

const gateway = `${env}.api.tcloudbasegateway.com`
const data = {name: '世界'}
const body = JSON.stringify(data)
const json = ['Content-Type', 'application/json']
const key = {api_key: '${API_KEY}'}

const request = (method, host, path, query, headers, body = '') => ({method, scheme: 'https', host, path, query, headers, body})

// signed is a signature of variant B; its time is some time.
const signed = token => ['Authorization', `TC3-HMAC-SHA256 Credential=[secret]/(today)/tcb/tc3_request, SignedHeaders=content-type;host, ` +
  `Signature=[secret], Timestamp=0${token ? ', Token=[secret]' : ''}`]

const origin = 'https://app.example.com'
const access = `${env}-1250000000.ap-shanghai.app.tcloudbase.com`
const wechat = 'api.weixin.qq.com'

export const literals = [
  {
    row: 'http-api with an API key',
    target: {env, auth: key, qualifier: '$LATEST'}, step: {invoke: 'hello', data},
    wanted: [request('POST', gateway, '/v1/functions/hello', '', [['Authorization', 'Bearer [secret]'], json, ['X-Qualifier', '$LATEST']], body)],
  },
  {
    row: 'http-api without data',
    target: {env, auth: key}, step: {invoke: 'hello'},
    wanted: [request('POST', gateway, '/v1/functions/hello', '', [['Authorization', 'Bearer [secret]'], json], '{}')],
  },
  {
    row: 'http-api, another country',
    target: {env, region: 'ap-singapore', auth: key}, step: {invoke: 'hello', data},
    wanted: [request('POST', `${env}.api.intl.tcloudbasegateway.com`, '/v1/functions/hello', '', [['Authorization', 'Bearer [secret]'], json], body)],
  },
  {
    row: 'http-api, signed',
    target: {env, auth: {secret_id: '${SECRET_ID}', secret_key: '${SECRET_KEY}'}}, step: {invoke: 'hello', data},
    wanted: [request('POST', gateway, '/v1/functions/hello', '', [signed(), json], body)],
  },
  {
    row: 'http-api, signed with a session token',
    target: {env, auth: {secret_id: '${SESSION_ID}', secret_key: '${SESSION_KEY}', session_token: '${SESSION_TOKEN}'}}, step: {invoke: 'hello', data},
    wanted: [request('POST', gateway, '/v1/functions/hello', '', [signed(true), json], body)],
  },
  {
    row: 'http-api with a client credential',
    target: {env, auth: {secret_id: '${SECRET_ID}', secret_key: '${SECRET_KEY}', client_credential: true}}, step: {invoke: 'hello', data},
    wanted: [
      request('POST', gateway, '/auth/v1/token/clientCredential', '', [signed(), json], '{"grant_type":"client_credentials"}'),
      request('POST', gateway, '/v1/functions/hello', '', [['Authorization', 'Bearer [secret]'], json], body),
    ],
  },
  {
    row: 'http-function',
    target: {env, method: 'http-function', auth: key}, step: {invoke: 'site', http: {method: 'PUT', path: '/users/7', query: {full: 'yes'}}, data},
    wanted: [request('PUT', gateway, '/v1/functions/site/users/7', 'full=yes', [['Authorization', 'Bearer [secret]'], json, ['X-Tcb-Webfn', 'true']], body)],
  },
  {
    row: 'web from a page',
    target: {method: 'web', endpoint: `https://${access}`, web: {origin}}, step: {invoke: 'site', http: {method: 'POST', path: '/site/users'}, data},
    wanted: [
      request('OPTIONS', access, '/site/users', '', [['Origin', origin], ['Access-Control-Request-Method', 'POST'], ['Access-Control-Request-Headers', 'content-type']]),
      request('POST', access, '/site/users', '', [['Origin', origin], json], body),
    ],
  },
  {
    row: 'web without a page',
    target: {method: 'web', endpoint: `https://${access}`}, step: {invoke: 'site', http: {method: 'GET', path: '/site', query: {q: '你好'}}},
    wanted: [request('GET', access, '/site', 'q=%E4%BD%A0%E5%A5%BD', [])],
  },
  ...['query', 'body'].map(form => ({
    row: `mini-program, ${form}`,
    target: {env, method: 'mini-program', auth: {app_id: '${APP_ID}', app_secret: '${APP_SECRET}'}, mini_program: {form}}, step: {invoke: 'hello', data},
    wanted: [
      request('POST', wechat, '/cgi-bin/stable_token', '', [json],
        JSON.stringify({grant_type: 'client_credential', appid: given.appID, secret: '[secret]', force_refresh: false})),
      form === 'query'
        ? request('POST', wechat, '/tcb/invokecloudfunction', `access_token=[secret]&env=${env}&name=hello`, [json], body)
        : request('POST', wechat, '/tcb/invokecloudfunction', 'access_token=[secret]', [json], JSON.stringify({env, name: 'hello', req_data: body})),
    ],
  })),
]
