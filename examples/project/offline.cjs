// Loaded into the vendor's command line before its own code: nothing of it
// reaches the network. What it asks the control plane is answered here, as for
// an account with one environment and no deployed functions, and each SCF
// Invoke is written down as a line of the file INVOCATIONS.
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { PassThrough } = require('node:stream');

const env = process.env.PROJECT_ENV;
const answers = {
  DescribeEnvs: () => ({ EnvList: [{ EnvId: env, Alias: env, Region: 'ap-shanghai', Status: 'NORMAL', EnvType: 'baas', Functions: [{ Namespace: env, Region: 'ap-shanghai' }] }] }),
  GetFunction: () => ({ Error: { Code: 'ResourceNotFound.Function', Message: 'there is no such function' } }),
  Invoke: (body) => {
    const { FunctionName, Namespace, ClientContext } = JSON.parse(body);
    // Without params the command line sends no event at all, which is {}.
    const line = { env: Namespace, function: FunctionName, params: ClientContext === undefined ? {} : JSON.parse(ClientContext) };
    fs.appendFileSync(process.env.INVOCATIONS, JSON.stringify(line) + '\n');
    return { Result: { InvokeResult: 0, RetMsg: '""', FunctionRequestId: '0', Duration: 1, BillDuration: 1, MemUsage: 1, Log: '' } };
  },
};

function request(to, options, callback) {
  if (typeof to === 'string' || to instanceof URL) {
    to = { ...(typeof options === 'object' ? options : {}), hostname: new URL(to).hostname };
  }
  callback = [options, callback].find((f) => typeof f === 'function');
  const sent = new PassThrough();
  for (const name of ['setTimeout', 'setNoDelay', 'setSocketKeepAlive', 'setHeader', 'abort']) sent[name] = () => sent;
  sent.getHeader = () => undefined;
  const chunks = [];
  sent.on('data', (chunk) => chunks.push(chunk));
  sent.on('end', () => {
    const [, action] = Object.entries(to.headers ?? {}).find(([name]) => name.toLowerCase() === 'x-tc-action') ?? [];
    const answer = answers[String(action)]?.(Buffer.concat(chunks).toString()) ?? {};
    const reply = new PassThrough();
    Object.assign(reply, { statusCode: 200, headers: { 'content-type': 'application/json' }, rawHeaders: [] });
    callback?.(reply);
    sent.emit('response', reply);
    reply.end(JSON.stringify({ Response: { RequestId: '0', ...answer } }));
  });
  return sent;
}

http.request = request;
https.request = request;
